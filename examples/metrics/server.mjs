/**
 * A proxy with metrics for Prometheus. They are on a port of their own: what clients of the proxy can ask for they can
 * read.
 */
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { countEvents, showAuthorities } from './metrics.mjs'

const { PORT = '8080', METRICS_PORT = '9464', LOG_LEVEL = 'warn' } = process.env

const register = new Registry()
collectDefaultMetrics({ register })
const stop = countEvents(register)

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx, {
  ca: { file: './ca/fastify-prox-ca.pem' },
  onConnect: ({ port }) => port === 443 ? undefined : 403
})
showAuthorities(register, app.proxyCA)
app.all('/*', async ({ proxy }) => ({ url: proxy?.url }))
app.addHook('onClose', async () => stop())

const metrics = Fastify({ logger: { level: LOG_LEVEL } })
metrics.get('/metrics', async (_request, reply) => {
  reply.header('content-type', register.contentType)
  return await register.metrics()
})

await app.listen({ port: Number(PORT) })
await metrics.listen({ port: Number(METRICS_PORT) })
console.log(`Proxy:  http://localhost:${app.server.address().port}`)
console.log('CA:     ca/fastify-prox-ca.pem')
console.log(`Try:    curl http://localhost:${metrics.server.address().port}/metrics`)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => Promise.all([app.close(), metrics.close()]).then(() => process.exit()))
}
