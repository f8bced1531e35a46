/** Fastify and undici alone: what a route has to do to answer with what a host answers, and nothing more. */
import Fastify from 'fastify'
import { Pool } from 'undici'
import { startOrigin } from './origin.js'

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding']

export async function start () {
  const pool = new Pool(await startOrigin())
  const app = Fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => done(null))
  app.all('/*', async ({ raw, headers }, reply) => {
    const { connection, host, ...sent } = headers
    const hasContent = 'content-length' in headers || 'transfer-encoding' in headers
    const body = hasContent ? raw : null
    const response = await pool.request({ path: raw.url, method: raw.method, headers: sent, body })
    for (const name of HOP_BY_HOP) delete response.headers[name]
    return reply.code(response.statusCode).headers(response.headers).send(response.body)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca: undefined, proxy: false }
}
