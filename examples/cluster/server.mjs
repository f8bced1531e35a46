/**
 * Several processes behind one port, with one CA: a tunnel works whichever of them gets it, and a client that comes
 * back resumes its TLS session with any of them.
 */
import cluster from 'node:cluster'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'

const { PORT = '8080', WORKERS = '4', LOG_LEVEL = 'warn' } = process.env

if (cluster.isPrimary) {
  let stopping = false
  for (let i = 0; i < Number(WORKERS); i++) cluster.fork()

  cluster.once('listening', (worker, { port }) => {
    console.log(`Proxy:  http://localhost:${port}, ${WORKERS} processes`)
    console.log('CA:     ca/fastify-prox-ca.pem')
    console.log(`Try:    curl --cacert ca/fastify-prox-ca.pem -x localhost:${port} "https://[a-d].example.com/"`)
  })
  // One that ends is replaced, but one that never got so far as to listen would only end again.
  cluster.on('listening', (worker) => { worker.replace = true })
  cluster.on('exit', (worker) => { if (worker.replace && !stopping) cluster.fork() })

  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      stopping = true
      for (const worker of Object.values(cluster.workers)) worker.process.kill()
    })
  }
} else {
  const app = Fastify({ logger: { level: LOG_LEVEL } })
  // Whoever comes first makes the CA in this file, and everyone reads it. Several machines share one by `ca.store`.
  await app.register(fastifyProx, { ca: { file: './ca/fastify-prox-ca.pem' } })
  app.get('/*', async ({ proxy }) => ({ url: proxy?.url, process: process.pid }))
  await app.listen({ port: Number(PORT) })

  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => app.close().then(() => process.exit()))
}
