/** The address of the proxy, as the download app tells it. */
import http from 'node:http'
import https from 'node:https'
import { networkInterfaces } from 'node:os'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { downloadApp } from '../../plugin/download/app'
import { answerOf, ask, autoConfigurationOf, HOST, makeAuthority, portOf, serve, temporarySocket } from './support'
import type { Answer } from './support'

t.test('the address is the one that the client reached', async (t) => {
  const { ca } = await makeAuthority()
  const download = downloadApp({ ca, host: HOST })

  t.test('IPv4', async (t) => {
    const app = await serve(t, download)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac')), `PROXY 127.0.0.1:${portOf(app)}`)
  })

  const interfaces = Object.values(networkInterfaces()).flat()
  const noIPv6 = !interfaces.some((address) => address?.family === 'IPv6') && 'this machine has no IPv6'
  t.test('IPv6, and IPv4 on a dual-stack socket', { skip: noIPv6 }, async (t) => {
    const app = await serve(t, download, Fastify(), { port: 0, host: '::' })
    const port = portOf(app)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac', { host: '::1' })), `PROXY [::1]:${port}`)
    const script = (await ask(app, '/download/env', { host: '::1' })).body.toString()
    t.match(script, `export HTTPS_PROXY='http://[::1]:${port}'\n`)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac')), `PROXY 127.0.0.1:${port}`)
  })

  t.test('a proxy that speaks TLS', async (t) => {
    const app = Fastify({
      https: { SNICallback: (name, done) => { ca.secureContext(name).then((context) => done(null, context), done) } }
    })
    await serve(t, download, app as unknown as FastifyInstance)
    const port = portOf(app as unknown as FastifyInstance)
    const server = { host: '127.0.0.1', port, servername: 'proxy.example' }
    const options = { ...server, ca: ca.certificatePem, agent: false }
    const get = (path: string): Promise<Answer> => answerOf(https.request({ ...options, path }))
    t.equal(await autoConfigurationOf(t, get('/proxy.pac')), `HTTPS 127.0.0.1:${options.port}`)
    t.match((await get('/download/env')).body.toString(), `export HTTPS_PROXY=https://127.0.0.1:${options.port}\n`)
  })

  t.test('a unix socket has none', async (t) => {
    const socketPath = await temporarySocket(t)
    await serve(t, download, Fastify(), { path: socketPath })
    const get = (path: string): Promise<Answer> => answerOf(http.request({ socketPath, path, agent: false }))
    for (const path of ['/download/env', '/proxy.pac']) {
      const { status, headers, body } = await get(path)
      t.equal(status, 501)
      t.equal(headers['content-type'], 'text/plain; charset=utf-8')
      t.match(body.toString(), /^# .*unix socket.*\n$/, 'one comment')
    }
    t.match((await get('/download')).body.toString(), 'http://PROXY:8080')
  })
})
