/** What the log tells of proxied requests, and of what is refused. */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { basic } from '../support/basic'
import { start } from '../support/proxy'
import { connect } from '../support/raw'

interface Line {
  level: number
  msg?: string
  err?: { type: string, message: string, stack: string }
  proxy?: object
  [field: string]: unknown
}

const DEBUG = 20
const INFO = 30
const ERROR = 50

/** An application with pino, as Fastify has it, and the lines that it has written. */
async function logging (
  t: Test, prox: fastifyProx.FastifyProxOptions = {}, options: FastifyServerOptions = {}, logger: object = {}
): Promise<{ app: FastifyInstance, lines: Line[] }> {
  const lines: Line[] = []
  const stream = { write: (line: string) => { lines.push(JSON.parse(line)) } }
  const app = Fastify({ ...options, logger: { level: 'debug', stream, ...logger } })
  t.teardown(() => app.close())
  app.get('/early/*', async () => 'early')
  await app.register(fastifyProx, { ca: { store: new Map() }, ...prox })
  app.get('/*', async (request) => { request.log.info('handling') })
  return { app, lines }
}

const withErrors = (lines: Line[]): Line[] => lines.filter(({ err }) => err !== undefined)

t.test('the lines of a proxied request carry its URL, the id of its tunnel and the user', async (t) => {
  const { app, lines } = await logging(t, { resolver: fastifyProx.proxyAuthResolver({ realm: 'r' }) })
  const headers = basic('ann:secret')
  await app.injectProxy({ url: 'https://a.test/b?c', headers })
  const proxy = { url: 'https://a.test/b?c', tunnel: 'inject-1', user: 'ann' }
  t.match(lines, ['incoming request', 'handling', 'request completed'].map((msg) => ({ msg, proxy })))
  t.notMatch(JSON.stringify(lines), /secret/)
  lines.length = 0
  await app.inject('/direct')
  t.equal(lines.length, 3)
  t.notOk(lines.some((line) => 'proxy' in line), 'a direct request has no such field')
})

t.test('it is the id of the CONNECT that stands in the lines of the requests of its tunnel', async (t) => {
  const proxy = await start(t, { prox: { resolver: '/p/' } }, (app) => app.get('/p/*', async () => 'ok'))
  await proxy.get('https://a.test/b')
  const [connect, request] = proxy.log.lines.filter(({ msg }) => msg === 'incoming request')
  t.notOk('proxy' in connect!)
  t.strictSame(request!.proxy, { url: 'https://a.test/b', tunnel: connect!.reqId })
})

t.test('so do those of routes that were there before, and of what has no route', async (t) => {
  const { app, lines } = await logging(t)
  app.setNotFoundHandler(async (request, reply) => {
    request.log.info('none')
    return await reply.code(404).send('none')
  })
  for (const [url, method] of [['http://a.test/x', 'POST'], ['http://a.test/y', 'GET']] as const) {
    lines.length = 0
    await app.injectProxy({ url, method })
    t.match(lines.at(-1), { msg: 'request completed', proxy: { url } })
  }
  const early = await logging(t, { resolver: '/early/' })
  await early.app.injectProxy('http://a.test/')
  t.match(early.lines.at(-1), { msg: 'request completed', proxy: { url: 'http://a.test/' } })
})

t.test('what the application sets for its log holds', async (t) => {
  const serializers = { req: () => 'serialised' }
  const { app, lines } = await logging(t, { resolver: '/factory/' }, {}, { serializers })
  app.setChildLoggerFactory((logger, bindings, options) => logger.child({ ...bindings, mine: 1 }, options))
  app.get('/factory/*', async () => 'factory')
  await app.injectProxy('http://a.test/')
  t.match(lines[0], { req: 'serialised', mine: 1, proxy: { url: 'http://a.test/' } })
  lines.length = 0
  await app.inject('/factory/direct')
  t.match(lines[0], { mine: 1 })

  const own = await logging(t, { resolver: () => '/own' })
  own.app.get('/own', {
    childLoggerFactory: (logger, bindings) => logger.child({ ...bindings, own: 2 })
  }, async () => '')
  await own.app.injectProxy('http://a.test/')
  t.match(own.lines[0], { own: 2, proxy: { url: 'http://a.test/' } })

  const none = await logging(t, { resolver: () => 'nowhere' }, { disableRequestLogging: true })
  await none.app.injectProxy('http://a.test/')
  t.strictSame(none.lines, [])
})

t.test('what is refused is logged once: at info without a stack, with one where it is a mistake', async (t) => {
  const thrown = new Error('thrown')
  type Case = [prox: fastifyProx.FastifyProxOptions, url: string, level: number, text: string, frames: boolean]
  const cases: Case[] = [
    [{}, 'http://a..test/', INFO, 'is not a URL', false],
    [{ resolver: () => 'nowhere' }, 'http://a.test/', ERROR, 'The resolver has to answer a URL', true],
    [{ resolver: () => { throw thrown } }, 'http://a.test/', ERROR, 'thrown', true],
    // eslint-disable-next-line no-throw-literal -- what applications throw is what is tested
    [{ resolver: () => { throw 'a secret' } }, 'http://a.test/', ERROR, 'and threw a string', true]
  ]
  for (const [prox, url, level, text, frames] of cases) {
    const { app, lines } = await logging(t, prox)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = await connect(t, { port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' })
    const { body } = await client.ask('GET', url)
    t.match(body, text)
    t.notMatch(body, 'a secret')
    const [line, ...more] = withErrors(lines)
    t.match(line, { level, msg: new RegExp(text) })
    t.equal(line!.err!.stack.includes('\n    at '), frames)
    t.strictSame(more, [])
  }
})

t.test('that a client is asked for its credentials is no news', async (t) => {
  const { app, lines } = await logging(t, { resolver: fastifyProx.proxyAuthResolver() })
  t.equal((await app.injectProxy('http://a.test/')).statusCode, 407)
  t.match(withErrors(lines), [{ level: DEBUG, msg: 'Proxy Authentication Required' }])
  t.equal(withErrors(lines).length, 1)
  t.equal(lines.filter(({ level }) => level === INFO).length, 2, 'incoming and completed')
})

t.test('a refused CONNECT is logged once, whatever onConnect throws', async (t) => {
  const answers: Array<[onConnect: () => never | number, level: number, text: string]> = [
    [() => 403, INFO, 'A tunnel to a.test:443 is not allowed'],
    // eslint-disable-next-line no-throw-literal -- what applications throw is what is tested
    [() => { throw 'no' }, ERROR, 'onConnect has to throw an error if it throws, and threw a string']
  ]
  for (const [onConnect, level, text] of answers) {
    const { app, lines } = await logging(t, { onConnect })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = await connect(t, { port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' })
    client.write('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n')
    t.match((await client.response()).body, text)
    t.match(withErrors(lines), [{ level, msg: text }])
    t.equal(withErrors(lines).length, 1)
  }
})

t.test('the error handler of the application answers once, set before the plugin, after it, or both', async (t) => {
  for (const [before, after, calls] of [[true, false, 1], [false, true, 1], [true, true, 2]] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    const seen: string[] = []
    const handler = (name: string) => (err: Error, _request: unknown, reply: { send (err: Error): unknown }) => {
      seen.push(name)
      reply.send(err)
    }
    if (before) app.setErrorHandler(handler('before') as never)
    await app.register(fastifyProx, { ca: { store: new Map() }, resolver: () => 'nowhere' })
    if (after) app.setErrorHandler(handler('after') as never)
    t.match((await app.injectProxy('http://a.test/')).json(), { code: 'FST_PROX_BAD_RESOLUTION' })
    t.equal(seen.length, calls, seen.join())
  }
})

t.test('a logger that hides its state can be the application\'s', async (t) => {
  class Hidden {
    #lines: string[] = []
    level = 'debug'
    get lines (): string[] { return this.#lines }
    #write (level: string, fields: unknown, msg = String(fields)): void { this.#lines.push(`${level} ${msg}`) }
    fatal (fields: unknown, msg?: string): void { this.#write('fatal', fields, msg) }
    error (fields: unknown, msg?: string): void { this.#write('error', fields, msg) }
    warn (fields: unknown, msg?: string): void { this.#write('warn', fields, msg) }
    info (fields: unknown, msg?: string): void { this.#write('info', fields, msg) }
    debug (fields: unknown, msg?: string): void { this.#write('debug', fields, msg) }
    trace (fields: unknown, msg?: string): void { this.#write('trace', fields, msg) }
    silent (): void {}
    child (): Hidden { return this }
  }
  const loggerInstance = new Hidden()
  const app = Fastify({ loggerInstance: loggerInstance as never })
  t.teardown(() => app.close())
  await app.register(fastifyProx, { ca: { store: new Map() }, resolver: fastifyProx.proxyAuthResolver() })
  app.addHook('onSend', async (_request, reply) => { reply.log.warn(`sending at ${reply.log.level}`) })
  t.equal((await app.injectProxy('http://a.test/')).statusCode, 407)
  t.match(loggerInstance.lines, [
    'info incoming request', 'debug Proxy Authentication Required', 'warn sending at debug', 'info request completed'
  ])
})
