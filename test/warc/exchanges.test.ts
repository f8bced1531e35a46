/** How exchanges are kept until they are written: in what order, how much of them, and what is said of them. */
import { once } from 'node:events'
import fs, { appendFile, readFile, truncate, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import { writeMember } from '../../warc/gzip'
import warc from '../../warc/index'
import { Recording } from '../../warc/recording'
import { WarcSink } from '../../warc/sink'
import type { Captured } from '../../warc/sink'
import { Writer } from '../../warc/writer'
import type { ExchangeConnection, ExchangeEnd } from '../../types/forward'
import { startForward, startRaw, startSite } from '../forward/support'
import { Log } from '../support/log'
import { forwardAll, recordsIn, startRecorder } from './support'

const MIB = 1024 * 1024

const connection: ExchangeConnection = {
  remoteAddress: '192.0.2.1',
  remotePort: 80,
  tlsVersion: null,
  cipher: null,
  alpn: null,
  via: null,
  reused: false,
  timings: { resolve: 0, connect: 0, secure: 0 }
}

const ended: ExchangeEnd = { error: null, timings: { connected: 0, requestSent: 0, responseHead: 0, end: 0 } }

const request = { method: 'GET', url: 'http://a.test/', path: '/', httpVersion: '1.1', rawHeaders: [] }

const response = { httpVersion: '1.1', statusCode: 200, statusMessage: 'OK', rawHeaders: [] }

function exchangeOf (log: Log) {
  return {
    id: '1', request: { log: log.logger } as never, url: request.url, method: 'GET', startedAt: 0, webSocket: false
  }
}

/** Has open files be appended to in another way, until the test ends. */
async function replaceAppend (
  t: Test, by: (original: FileHandle['appendFile']) => FileHandle['appendFile']
): Promise<void> {
  const path = join(t.testdirName, 'replaced')
  await writeFile(path, '')
  const handle = await fs.open(path)
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  const { appendFile: original } = prototype
  t.teardown(() => { prototype.appendFile = original })
  prototype.appendFile = by(original)
}

t.test('a request in chunks is whole when all of them were sent', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startSite(t, (request, response) => {
    if (request.url === '/early') response.end('early')
    else request.pipe(response)
  })
  const more = { fastify: { forceCloseConnections: true } }
  const proxy = await startRecorder(t, { directory, dedup: false }, forwardAll, more)
  const client = await proxy.client()
  const head = (path: string): string =>
    `POST http://127.0.0.1:${site.port}${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`
  client.write(`${head('/whole')}5\r\nwhole\r\n0\r\n\r\n`)
  t.equal((await client.response('POST')).body, 'whole')
  client.write(`${head('/early')}4\r\npart\r\n`)
  await once(client.socket, 'data')
  await proxy.app.close()
  const requests = (await recordsIn(directory)).filter(({ type }) => type === 'request')
  t.strictSame(requests.map(({ head, body, fields }) => [head.split(' ')[1], String(body), fields['warc-truncated']]), [
    ['/whole', 'whole', undefined],
    ['/early', 'part', 'unspecified']
  ])
})

t.test('a response that a limit of time has ended says so', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startRaw(t, (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart') })
  const proxy = await startForward(t, { timeouts: { body: 100 } }, async (app) => {
    await app.register(warc, { directory })
    forwardAll(app)
  })
  const client = await proxy.client()
  client.write(`GET http://127.0.0.1:${site.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
  await client.closed()
  await proxy.app.close()
  const [, cut] = await recordsIn(directory)
  t.match(cut, { type: 'response', fields: { 'warc-truncated': 'time' } })
  t.equal(String(cut!.body), 'part')
})

t.test('bodies wait while too much is in memory, until it is written', async (t) => {
  const directory = t.testdir()
  const writer = await Writer.start({ directory, prefix: 'a', rotate: 1e9, info: [] })
  const recording = new Recording(directory, writer, false)
  const log = new Log()
  let open: () => void
  const gate = new Promise<void>((resolve) => { open = resolve })
  await replaceAppend(t, (original) => async function (this: FileHandle, ...args) {
    await gate
    await original.apply(this, args)
  })
  const begin = (): WarcSink => {
    const sink = recording.sink(exchangeOf(log)) as WarcSink
    sink.request(request, connection)
    sink.response(response)
    return sink
  }
  for (let i = 0; i < 32; i++) {
    const sink = begin()
    t.equal(sink.responseData(Buffer.alloc(MIB)), undefined)
    sink.end(ended)
    await sink.cut()
  }
  const sink = begin()
  const waiting = sink.responseData(Buffer.from('waits')) as Promise<void>
  t.type(waiting, Promise)
  open!()
  await waiting
  t.equal(sink.responseData(Buffer.from(' no more')), undefined)
  sink.end(ended)
  await recording.close()
  const responses = (await recordsIn(directory)).filter(({ type }) => type === 'response')
  t.equal(responses.length, 33)
  t.equal(String(responses.at(-1)!.body), 'waits no more')
  t.strictSame(log.messages('error'), [])
})

t.test('what has failed before the end of its exchange is given up once', async (t) => {
  const directory = t.testdir()
  const all: Array<Captured | null> = []
  const owner = { ended: (each: Captured | null) => all.push(each), queueDrained: () => undefined }
  const sink = new WarcSink(exchangeOf(new Log()), directory, owner)
  sink.request(request, connection)
  sink.response(response)
  await replaceAppend(t, () => async () => { throw new Error('no space left') })
  await t.rejects(sink.responseData(Buffer.alloc(2 * MIB)) as Promise<void>, { message: 'no space left' })
  sink.end(ended)
  await sink.cut()
  t.strictSame(all, [null])
})

t.test('a body whose file has become shorter is not written', async (t) => {
  const directory = t.testdir({ body: '0123456789' })
  const [body, output] = [await fs.open(join(directory, 'body')), await fs.open(join(directory, 'output'), 'ax')]
  t.teardown(async () => {
    await body.close()
    await output.close()
  })
  const block = { head: Buffer.from('message '), chunks: [], file: body, size: 11 }
  const head = Buffer.from('record ')
  await t.rejects(writeMember(output, head, block), { message: 'the file of a body has become shorter' })
  await truncate(join(directory, 'output'))
  await appendFile(join(directory, 'body'), '!')
  const size = await writeMember(output, head, block)
  const written = await readFile(join(directory, 'output'))
  t.equal(written.length, size)
  t.equal(String(gunzipSync(written)), 'record message 0123456789!\r\n\r\n')
})
