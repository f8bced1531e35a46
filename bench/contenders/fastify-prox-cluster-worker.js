/** One process of `fastify-prox-cluster`. */
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import { answer } from './app.js'

const [file] = process.argv.slice(2)
const app = Fastify()
await app.register(fastifyProx, { resolver: '/prefix/', ca: { file } })
app.get('/prefix/*', answer)
await app.listen({ host: '127.0.0.1', port: 0 })
