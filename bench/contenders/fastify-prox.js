/** The plugin with its defaults; the routes stand behind a fixed prefix. */
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import { HOST } from '../payload.js'
import { addRoutes, answer } from './app.js'

export async function start ({ https, websockets, tunnels }) {
  const app = Fastify()
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const limits = tunnels === undefined ? {} : { tunnels, tunnelsPerClient: tunnels }
  await app.register(fastifyProx, { resolver: '/prefix/', ca, limits })
  const scheme = https ? 'https' : 'http'
  await addRoutes(app, '/prefix/', `/prefix/${scheme}:://${HOST}`, websockets)
  // What is not proxied is answered as bare Fastify answers it.
  app.get('/*', answer)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca: ca.certificatePem, proxy: true }
}
