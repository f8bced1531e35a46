/** What a client gets that asks the proxy for a download directly, and not through it. */
import http from 'node:http'
import https from 'node:https'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { directNotice } from '../../plugin/download/app'
import fastifyProx from '../../plugin/index'
import { answerOf, ask, autoConfigurationOf, HOST, makeAuthority, portOf, serve, temporarySocket } from './support'
import type { Answer } from './support'

t.test('who asks the proxy directly for a download', async (t) => {
  const listen = async (t: Test, setUp: (app: FastifyInstance) => void = () => {}): Promise<FastifyInstance> => {
    const app = Fastify()
    setUp(app)
    return await serve(t, directNotice({ host: HOST }), app)
  }
  const browser = { accept: 'text/html,*/*;q=0.8' }

  t.test('gets a page in a browser', async (t) => {
    const app = await listen(t)
    const fields = { ...browser, host: 'my-machine:81' }
    const { status, headers, body } = await ask(app, '/download?a=b', { headers: fields })
    t.equal(status, 404)
    t.equal(headers.vary, 'accept')
    t.equal(headers['content-type'], 'text/html; charset=utf-8')
    t.equal(headers['cache-control'], 'no-store')
    const policy = /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; img-src data:; /
    t.match(headers['content-security-policy'], policy)
    const page = body.toString()
    t.match(page, '<h1>This is a proxy, and you asked it directly</h1>')
    t.match(page, 'Nothing is broken')
    t.match(page, `<a href="http://${HOST}/download">`)
    t.match(page, 'http://my-machine:81/proxy.pac')
  })

  t.test('gets a text in a program', async (t) => {
    const app = await listen(t)
    for (const path of ['/download', '/download/', '/download/pem']) {
      const { status, headers, body } = await ask(app, path)
      t.equal(status, 404)
      t.equal(headers['content-type'], 'text/plain; charset=utf-8')
      const pem = `http://${HOST}/download/pem`
      t.match(body.toString(), `curl -x http://127.0.0.1:${portOf(app)} -o fastify-prox-ca.pem ${pem}\n`)
    }
    t.equal((await ask(app, '/download', { method: 'HEAD' })).headers['content-type'], 'text/plain; charset=utf-8')
  })

  t.test('gets the PAC file, with the address that was asked', async (t) => {
    const app = await listen(t)
    for (const [host, proxy] of [
      ['my-machine:81', 'PROXY my-machine:81'],
      ['my-machine', 'PROXY my-machine:80'],
      ['[::1]:81', 'PROXY [::1]:81'],
      ['"; return "DIRECT', `PROXY 127.0.0.1:${portOf(app)}`]
    ] as const) {
      t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac?', { headers: { host } })), proxy, host)
    }
  })

  t.test('gets the PAC file of a proxy that speaks TLS', async (t) => {
    const { ca } = await makeAuthority()
    const app = Fastify({
      https: { SNICallback: (name, done) => { ca.secureContext(name).then((context) => done(null, context), done) } }
    }) as unknown as FastifyInstance
    await serve(t, directNotice({ host: HOST }), app)
    const server = { host: '127.0.0.1', port: portOf(app), servername: 'proxy.example', ca: ca.certificatePem }
    const headers = { host: 'proxy.example' }
    const request = https.request({ ...server, path: '/proxy.pac', headers, agent: false })
    t.equal(await autoConfigurationOf(t, answerOf(request)), 'HTTPS proxy.example:443')
  })

  t.test('gets no address on a unix socket', async (t) => {
    const socketPath = await temporarySocket(t)
    await serve(t, directNotice({ host: HOST }), Fastify(), { path: socketPath })
    const options = { socketPath, headers: { host: ' ' }, agent: false }
    const get = (path: string): Promise<Answer> => answerOf(http.request({ ...options, path }))
    t.equal((await get('/proxy.pac')).status, 501)
    t.match((await get('/download')).body.toString(), 'curl -x http://PROXY:8080 ')
  })

  t.test('gets what the application answers, if it does', async (t) => {
    const routed = await listen(t, (app) => {
      app.get('/download', () => 'mine')
      app.get('/:any', () => 'wild')
    })
    t.equal((await ask(routed, '/download', { headers: browser })).body.toString(), 'mine')
    t.equal((await ask(routed, '/proxy.pac')).body.toString(), 'wild')

    const handled = await listen(t, (app) => { app.setNotFoundHandler(() => 'a single page') })
    for (const path of ['/download', '/proxy.pac']) {
      t.equal((await ask(handled, path, { headers: browser })).body.toString(), 'a single page', path)
    }
  })

  t.test('gets what it got before from any other path', async (t) => {
    const app = await listen(t)
    const requests = [['POST', '/download'], ['GET', '/downloads'], ['GET', '/proxy.pac/x'], ['GET', '/']] as const
    for (const [method, path] of requests) {
      const { status, body } = await ask(app, path, { method })
      t.equal(status, 404)
      t.equal(JSON.parse(body.toString()).message, `Route ${method}:${path} not found`)
    }
  })

  t.test('gets it where the request is proxied', async (t) => {
    const app = Fastify()
    app.register(fastifyProx, { resolver: '/', ca: { store: new Map() } })
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(() => app.close())
    t.match((await ask(app, '/download/pem')).body.toString(), 'you asked it directly')
    t.match((await ask(app, `http://${HOST}/download/pem`)).body.toString(), 'BEGIN CERTIFICATE')
    const nothing = await ask(app, `http://${HOST}/download/nothing`)
    t.match(nothing.body.toString(), 'Route GET:/download/nothing not found')
  })
})
