/** The recipes of `docs/recipes.md` do what they say. */
import { existsSync, mkdtempSync } from 'node:fs'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import type { Test } from 'tap'
import { fetch } from 'undici'
import WebSocket from 'ws'
import { basic } from '../support/basic'
import { block, run, TITLES } from './recipe'

const RECIPES: Record<string, (t: Test, title: string) => Promise<void>> = {
  '501 for whatever has no mock': async (t, title) => {
    const { proxy } = await run(t, title)
    t.match(await proxy.get('https://api.stripe.com/v1/balance'), { status: 200, body: '{"available":[]}' })
    for (const url of ['https://api.stripe.com/v1/charges?a=b', 'http://other.test/']) {
      const { status, body } = await proxy.ask('POST', url, { 'content-type': 'x/odd' }, 'content')
      t.equal(status, 501)
      t.strictSame(JSON.parse(body), { error: `There is no mock for POST ${url}` })
    }
  },

  Forms: async (t, title) => {
    const { proxy } = await run(t, title)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { body } = await proxy.ask('POST', 'https://login.example.com/session', headers, 'user=ann+b&password=x')
    t.strictSame(JSON.parse(body), { welcome: 'ann b' })
  },

  'One log line per request': async (t, title) => {
    const { app, proxy, lines } = await run(t, title)
    await proxy.get('https://example.com/a')
    await proxy.get('http://example.com/none')
    await app.close()
    t.match(lines.filter(({ msg }) => msg === 'request'), [
      { method: 'GET', status: 200, ms: Number, proxy: { url: 'https://example.com/a', tunnel: String } },
      { method: 'GET', status: 200, ms: Number, proxy: { url: 'http://example.com/none' } }
    ])
    t.equal(lines.filter(({ reqId }) => reqId !== undefined).length, 2)
  },

  'Limits for each user': async (t, title) => {
    const { proxy } = await run(t, title)
    const statuses = async (userinfo: string, count: number): Promise<number[]> => {
      const seen = []
      for (let i = 0; i < count; i++) seen.push((await proxy.get('http://a.test/', basic(userinfo))).status)
      return seen
    }
    t.strictSame(await statuses('ann:ann-secret', 6), [200, 200, 200, 200, 200, 429])
    t.strictSame(await statuses('bob:bob-secret', 1), [200], 'each user has a limit')
    const guesses = await statuses('bob:guess', 6)
    t.strictSame(guesses, [407, 407, 407, 407, 407, 429], 'wrong passwords count by name and address')
    t.equal((await proxy.connect('a.test:443', basic('bob:guess'))).response.status, 429, 'in a CONNECT too')
  },

  'Several users, each with a prefix': async (t, title) => {
    const { proxy } = await run(t, title)
    const url = 'http://example.com/a?b'
    t.match(await proxy.get(url, basic('ann:first secret')), { status: 200, body: `for Ann alone: ${url}` })
    t.match(await proxy.get(url, basic('bob:second secret')), { status: 200, body: `for bob: ${url}` })
    for (const [user, password] of [['bob', 'first secret'], ['eve', 'first secret'], ['', '']] as const) {
      t.equal((await proxy.get(url, basic(`${user}:${password}`))).status, 407)
    }
  },

  'A proxy that speaks TLS, in five lines': async (t, title) => {
    const { app } = await run(t, title)
    t.match(app.proxyEnv().HTTPS_PROXY, /^https:\/\/localhost:/)
    const dispatcher = app.proxyDispatcher()
    t.teardown(() => dispatcher.close())
    const response = await fetch('https://example.com/', { dispatcher: dispatcher as never })
    t.strictSame(await response.json(), { url: 'https://example.com/' })
  },

  'Bodies of any type and length': async (t, title) => {
    const { proxy } = await run(t, title)
    const { socket } = await proxy.tls('example.com:443', { ALPNProtocols: ['h2'] })
    const session = http2.connect('https://example.com', { createConnection: () => socket })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-type': 'x/odd' })
    for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(20_000))
    stream.end()
    t.strictSame(JSON.parse(await text(stream)), { bytes: 2_000_000, length: null })
  },

  'A WebSocket in both directions': async (t, title) => {
    const { app } = await run(t, title)
    const agent = new HttpsProxyAgent(app.proxyEnv().HTTPS_PROXY, { ca: app.proxyCA.certificatePem })
    for (const scheme of ['ws', 'wss']) {
      const socket = new WebSocket(`${scheme}://example.com/a`, { agent, ca: app.proxyCA.certificatePem })
      t.teardown(() => socket.terminate())
      const [greeting] = await once(socket, 'message')
      t.equal(String(greeting), `connected to ${scheme.replace('ws', 'http')}://example.com/a`)
      for (const data of ['text', Buffer.from([0, 255])]) {
        socket.send(data)
        const [message, isBinary] = await once(socket, 'message')
        t.strictSame(isBinary ? message : String(message), data)
      }
    }
  },

  'Health checks, and closing without losing requests': async (t, title) => {
    process.env.DRAIN = '100'
    const listeners = process.listeners('SIGTERM')
    const { app, proxy } = await run(t, title)
    delete process.env.DRAIN
    const health = async (): Promise<number> => (await (await proxy.client()).ask('GET', '/health')).status
    t.equal(await health(), 200)
    t.equal((await proxy.get('http://fastify-prox/health')).body, 'ok\n')
    const kept = await proxy.tls('a.test:443')
    t.equal((await kept.ask('GET', '/')).headers.connection, 'keep-alive')
    const inner = await proxy.tls('c.test:443', { ALPNProtocols: ['h2'] })
    const session = http2.connect('https://c.test', { createConnection: () => inner.detach() })
    t.teardown(() => session.destroy())
    await once(session, 'remoteSettings')
    const closed = new Promise((resolve) => app.server.once('close', resolve))
    const [onTerm] = process.listeners('SIGTERM').filter((listener) => !listeners.includes(listener))
    process.off('SIGTERM', onTerm!)
    const term = onTerm as unknown as () => void
    term()
    t.equal(await health(), 503)
    t.match(await kept.ask('GET', '/b'), { status: 200, headers: { connection: 'close' } })
    t.equal(await kept.closed(), '')
    const goneAway = once(session, 'goaway')
    const stream = session.request({ ':path': '/' })
    t.match(JSON.parse(await text(stream)), { url: 'https://c.test/' })
    await Promise.all([goneAway, once(session, 'close')])
    t.equal((await proxy.get('https://b.test/')).status, 200, 'what comes meanwhile is served')
    await closed
  },

  'Traces with OpenTelemetry': async (t, title) => {
    const spans: Array<{ name: string, attributes: object }> = []
    t.intercept(console, 'dir', { value: (span: typeof spans[number]) => { spans.push(span) } })
    const { app, proxy } = await run(t, title)
    t.equal((await proxy.get('https://example.com/a?b')).status, 200)
    await app.close()
    const requests = spans.filter(({ name }) => name === 'request').map(({ attributes }) => attributes)
    t.match(requests, [
      { 'http.request.method': 'CONNECT', 'url.path': 'example.com:443', 'http.response.status_code': 200 },
      { 'http.request.method': 'GET', 'url.full': 'https://example.com/a?b', 'server.address': 'example.com' }
    ])
  },

  Docker: async (t, title) => {
    const file = join(mkdtempSync(join(tmpdir(), 'fastify-prox-recipe-')), 'ca.pem')
    process.env.CA_FILE = file
    const listeners = process.listeners('SIGTERM')
    const { app, proxy } = await run(t, title)
    delete process.env.CA_FILE
    t.ok(existsSync(file), 'the CA is where the volume is')
    t.equal((await app.inject('/health')).body, 'ok\n')
    t.match(await proxy.get('https://example.com/'), { status: 200, body: '{"url":"https://example.com/"}' })

    const [onTerm] = process.listeners('SIGTERM').filter((listener) => !listeners.includes(listener))
    process.off('SIGTERM', onTerm!)
    await (onTerm as unknown as () => Promise<void>)()
    t.equal(app.server.listening, false)

    const dockerfile = block(title, 'dockerfile')
    for (const name of ['CA_FILE', '8080', '/health', 'server.mjs']) t.ok(dockerfile.includes(name))
  }
}

t.strictSame(Object.keys(RECIPES), TITLES, 'each recipe has a test')
for (const [title, test] of Object.entries(RECIPES)) t.test(title, (t) => test(t, title))
