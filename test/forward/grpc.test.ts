import { once } from 'node:events'
import http2 from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import t from 'tap'
import type { Test } from 'tap'
import type { Proxy } from '../support/proxy'
import { privateRoot, startForward, startSite } from './support'

const bytes = (value: Buffer): Buffer => value

/** Name of a method, and whether its request and its response are streams. */
const METHODS = [
  ['unary', false, false],
  ['many', false, true],
  ['chat', true, true],
  ['fails', false, false]
] as const

const SERVICE: grpc.ServiceDefinition = Object.fromEntries(
  METHODS.map(([name, requestStream, responseStream]) => [name, {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes
  }])
)

type UnaryCall = grpc.ServerUnaryCall<Buffer, Buffer>
type Methods = Record<typeof METHODS[number][0], (...args: unknown[]) => grpc.ClientDuplexStream<Buffer, Buffer>>

async function startGrpc (t: Test): Promise<number> {
  const { key, cert: certificate } = await (await privateRoot()).issue('localhost')
  const server = new grpc.Server()
  server.addService(SERVICE, {
    unary: (call: UnaryCall, callback: grpc.sendUnaryData<Buffer>) => callback(null, call.request),
    many: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < 3; i++) call.write(Buffer.from(`${i}`))
      call.end()
    },
    chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (data: Buffer) => call.write(data))
      call.on('end', () => call.end())
    },
    fails: (_call: UnaryCall, callback: grpc.sendUnaryData<Buffer>) => {
      callback({ code: grpc.status.NOT_FOUND, details: 'not here' })
    }
  })
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) }
  const credentials = grpc.ServerCredentials.createSsl(null, [pair])
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (err, bound) => err ? reject(err) : resolve(bound))
  })
  t.teardown(() => server.forceShutdown())
  return port
}

/** A listener whose connections come out of a tunnel of the proxy: for clients that know no proxy. */
async function startTunnelEntrance (t: Test, proxy: Proxy, authority: string): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer(async (socket) => {
    const tunnel = (await proxy.tunnel(authority)).detach()
    for (const each of [socket, tunnel]) each.on('error', () => {})
    socket.pipe(tunnel).pipe(socket)
    t.teardown(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('gRPC goes through: unary, streams both ways, and errors', async (t) => {
  const site = await startGrpc(t)
  const proxy = await startForward(t)
  const entrance = await startTunnelEntrance(t, proxy, `localhost:${site}`)
  const Client = grpc.makeGenericClientConstructor(SERVICE, 'Echo')
  const credentials = grpc.credentials.createSsl(Buffer.from(proxy.app.proxyCA.certificatePem))
  const client = new Client(`localhost:${entrance}`, credentials, {
    'grpc.default_authority': `localhost:${site}`
  }) as unknown as Methods & { close: () => void }
  t.teardown(() => client.close())
  const deadline = { deadline: Date.now() + 20_000 }
  const unary = (method: 'unary' | 'fails'): Promise<unknown> => new Promise((resolve) => {
    const answered = (err: grpc.ServiceError | null, value?: Buffer): void => resolve(err ?? String(value))
    client[method](Buffer.from('a'), new grpc.Metadata(), deadline, answered)
  })
  t.equal(await unary('unary'), 'a')
  t.match(await unary('fails'), { code: grpc.status.NOT_FOUND, details: 'not here' })
  const many = client.many(Buffer.from('a'), new grpc.Metadata(), deadline)
  t.strictSame((await many.toArray()).map(String), ['0', '1', '2'])
  const chat = client.chat(new grpc.Metadata(), deadline)
  for (const word of ['one', 'two']) {
    chat.write(Buffer.from(word))
    t.equal(String((await once(chat, 'data'))[0]), word, 'each answer comes before the next question')
  }
  chat.end()
  await once(chat, 'status')
})

async function session (t: Test, proxy: Proxy, authority: string): Promise<ClientHttp2Session> {
  const tunnel = await proxy.tunnel(authority)
  const socket = connectTls({
    socket: tunnel.detach(),
    servername: 'localhost',
    ca: proxy.app.proxyCA.certificatePem,
    ALPNProtocols: ['h2']
  })
  const client = http2.connect(`https://${authority}`, { createConnection: () => socket })
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  return client
}

t.test('HTTP/2 on both sides carries 103, cookies, a body, and a stream that was cut short', async (t) => {
  const site = await startSite(t, (request, response) => {
    const { stream } = response as unknown as http2.Http2ServerResponse
    if (request.url === '/cut') return response.write('a', () => stream.close(http2.constants.NGHTTP2_CANCEL))
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.setHeader('x-cookie', String(request.headers.cookie))
    request.pipe(response)
  }, { http2: true })
  const proxy = await startForward(t)
  const authority = `localhost:${site.port}`
  const client = await session(t, proxy, authority)
  const stream = client.request({
    ':path': '/',
    ':method': 'POST',
    ':authority': authority,
    cookie: ['a=1', 'b=2']
  })
  const hints = once(stream, 'headers')
  stream.end('body')
  const [headers] = await once(stream, 'response')
  t.equal((await hints)[0][':status'], 103)
  const body = Buffer.concat(await stream.toArray()).toString()
  t.strictSame([headers[':status'], headers['x-cookie'], body], [200, 'a=1; b=2', 'body'])
  const cut = client.request({ ':path': '/cut', ':authority': authority })
  cut.resume()
  const [err] = await once(cut, 'error')
  t.match(err.message, /INTERNAL_ERROR/)
})

t.test('sends a request again that a host has refused unseen, once', async (t) => {
  const { key, cert } = await (await privateRoot()).issue('localhost')
  const server = http2.createSecureServer({ key, cert })
  let streams = 0
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/never' || ++streams === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
    stream.respond({ ':status': 200 })
    stream.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const proxy = await startForward(t)
  t.equal((await proxy.get(`https://localhost:${port}/`)).body, 'ok')
  t.equal(streams, 2)
  t.equal((await proxy.get(`https://localhost:${port}/never`)).status, 502)
})
