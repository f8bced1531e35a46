/** Tunnels that are passed through speak for the hosts that the policy has passed, and for no others. */
import net from 'node:net'
import tls from 'node:tls'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { secure } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { LOCAL, startHost, startPassing, startSite } from './passing'
import { ask, h2, recorded, until } from './support'
import type { HandshakeFailed, TunnelClosed, TunnelOpened } from '../../types/events'

/** Resolves every name to the loopback. */
const toLoopback: fastifyProx.PassOptions['lookup'] = (_hostname, _options, callback) => callback(
  null, [{ address: '127.0.0.1', family: 4 }]
)

const PASSED = fastifyProx.pass({ allow: LOCAL, lookup: toLoopback })

type Policy = (hostname: string, servername: string | null) => number | undefined | fastifyProx.Pass

async function startPolicy (t: Test, policy: Policy): Promise<{ proxy: Proxy, asked: string[] }> {
  const asked: string[] = []
  const proxy = await startPassing(t, {}, {
    prox: {
      onConnect: ({ authority, hostname, servername, tunnel }) => {
        asked.push(`${authority} ${servername} ${tunnel === null ? 'CONNECT' : 'tunnel'}`)
        return policy(hostname, servername)
      }
    }
  })
  return { proxy, asked }
}

async function failure (proxy: Proxy, authority: string, servername: string): Promise<string> {
  const socket = (await proxy.tunnel(authority)).detach()
  const client = tls.connect({ socket, servername, rejectUnauthorized: false })
  const [err] = await once(client, 'error').catch((err: Error) => [err]) as [NodeJS.ErrnoException]
  return err.code!
}

t.test('another server name is asked about: it may pass, be intercepted, or be refused', async (t) => {
  const opened = recorded<TunnelOpened>(t, 'tunnel:opened')
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const failed = recorded<HandshakeFailed>(t, 'handshake:failed')
  const site = await startSite(t, 'the real site', ['a.test', 'passed.test'])
  const decisions: Record<string, number | fastifyProx.Pass> = {
    'a.test': PASSED, 'passed.test': PASSED, 'refused.test': 403
  }
  const { proxy, asked } = await startPolicy(t, (hostname) => decisions[hostname])
  const authority = `a.test:${site.port}`
  const { certificatePem } = proxy.app.proxyCA

  const same = await secure(
    t, (await proxy.tunnel(authority)).detach(), authority, { ca: site.root, servername: 'A.test' }
  )
  t.equal((await same.ask('GET', '/', { connection: 'close' })).body, 'the real site')
  t.strictSame(asked.splice(0), [`${authority} null CONNECT`], 'the host of the CONNECT is not asked about again')

  const other = await secure(
    t, (await proxy.tunnel(authority)).detach(), authority, { ca: site.root, servername: 'passed.test' }
  )
  t.equal((await other.ask('GET', '/', { connection: 'close' })).body, 'the real site')
  t.strictSame(asked.splice(0), [`${authority} null CONNECT`, `passed.test:${site.port} passed.test tunnel`])
  t.strictSame((await Promise.all([closed.next(), closed.next()])).map(({ passed }) => passed), [true, true])

  const ours = await secure(
    t, (await proxy.tunnel(authority)).detach(), authority, { ca: certificatePem, servername: 'mine.test' }
  )
  t.match(JSON.parse(
    (await ours.ask('GET', '/b', { host: 'mine.test', connection: 'close' })).body
  ), { url: `https://mine.test:${site.port}/b` })
  t.strictSame(asked.splice(0), [`${authority} null CONNECT`, `mine.test:${site.port} mine.test tunnel`], 'once')
  t.match(await closed.next(), { passed: false, requests: 1 })

  t.equal(await failure(proxy, authority, 'refused.test'), 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
  t.match(await failed.next(), {
    authority, servername: 'refused.test', code: 'FST_PROX_CONNECT_REFUSED', refused: false, advice: null
  })
  t.match(await closed.next(), { passed: true, code: 'FST_PROX_CONNECT_REFUSED', reason: /^not passed: / })
  t.strictSame(opened.messages.map(({ passed }) => passed), [true, true, true, true])
  await until(() => site.sockets.size === 0)
})

t.test('a server name that is none counts as none', async (t) => {
  const site = await startSite(t, 'the real site', ['a.test'])
  const { proxy, asked } = await startPolicy(t, () => PASSED)
  const client = await secure(t, (await proxy.tunnel(`a.test:${site.port}`)).detach(), `a.test:${site.port}`, {
    ca: site.root, servername: 'a b', checkServerIdentity: () => undefined, rejectUnauthorized: false
  })
  t.equal((await client.ask('GET', '/', { connection: 'close' })).body, 'the real site')
  t.equal(asked.length, 1)
})

t.test('a host that has spoken cannot be taken back', async (t) => {
  const host = await startHost(t, (socket) => socket.write('220 ready\r\n'))
  const { proxy } = await startPolicy(t, (hostname) => hostname === 'a.test' ? PASSED : undefined)
  const client = await proxy.tunnel(`a.test:${host.port}`)
  t.equal(await client.read(11), '220 ready\r\n')
  const hello = await clientHello('b.test')
  client.write(hello)
  t.equal(Buffer.from(await client.closed(), 'latin1').toString('hex'), '15030300020231', 'the alert access_denied')
})

/** What a client begins with. */
async function clientHello (servername: string): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = tls.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', servername })
  client.on('error', () => {})
  const [socket] = await once(server, 'connection') as [net.Socket]
  const [bytes] = await once(socket, 'data') as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

t.test('a tunnel that is to be intercepted passes a server name that the policy passes', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const site = await startSite(t, 'the real site', ['passed.test'])
  const { proxy, asked } = await startPolicy(t, (hostname) => hostname === 'passed.test' ? PASSED : undefined)
  const client = await secure(
    t, (await proxy.tunnel(`127.0.0.1:${site.port}`)).detach(), 'passed.test:443', { ca: site.root }
  )
  t.equal((await client.ask('GET', '/', { connection: 'close' })).body, 'the real site')
  t.match(await closed.next(), { passed: true })
  t.strictSame(asked, [`127.0.0.1:${site.port} null CONNECT`, `passed.test:${site.port} passed.test tunnel`])
  t.equal(await failure(proxy, '127.0.0.1:1', 'passed.test'), 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR')
  t.match(await closed.next(), {
    code: 'FST_PROX_UPSTREAM_UNREACHABLE', reason: /^not passed: No connection to passed\.test:1/
  })
})

t.test('a private address behind such a name is refused, and a client that leaves meanwhile is forgotten', async (
  t
) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  let asked = (): void => {}
  const looking = new Promise<void>((resolve) => { asked = resolve })
  const lookup: fastifyProx.PassOptions['lookup'] = (hostname, options, callback) => {
    if (hostname === 'slow.test') asked()
    else toLoopback(hostname, options, callback)
  }
  const decision = fastifyProx.pass({ lookup })
  const { proxy } = await startPolicy(t, (hostname) => hostname.endsWith('.test') ? decision : undefined)
  t.equal(await failure(proxy, '127.0.0.1:1', 'private.test'), 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED')
  t.match(await closed.next(), { code: 'FST_PROX_ADDRESS_REFUSED' })
  const client = await proxy.tunnel('127.0.0.1:1')
  client.write(await clientHello('slow.test'))
  await looking
  client.socket.resetAndDestroy()
  t.match(await closed.next(), { code: 'ECONNRESET' })
})

t.test('a client that leaves while the policy is asked is forgotten', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const host = await startHost(t, (socket) => socket.on('end', () => socket.end()).resume())
  for (const answer of [undefined, 403, PASSED]) {
    let asked = (): void => {}
    const asking = new Promise<void>((resolve) => { asked = resolve })
    let decide = (): void => {}
    const proxy = await startPassing(t, {}, {
      prox: {
        onConnect: async ({ tunnel }) => {
          if (tunnel === null) return PASSED
          asked()
          return await new Promise((resolve) => { decide = () => resolve(answer) })
        }
      }
    })
    const client = await proxy.tunnel(`a.test:${host.port}`)
    client.write(await clientHello('b.test'))
    await asking
    client.socket.resetAndDestroy()
    t.match(await closed.next(), { code: 'ECONNRESET', passed: true })
    decide()
    await until(() => host.sockets.size === 0)
  }
})

t.test('a request for a host that is to be passed needs a tunnel of its own', async (t) => {
  const { proxy } = await startPolicy(t, (hostname) => hostname === 'b.example.com' ? PASSED : undefined)
  const session = await h2(t, proxy, 'a.example.com:443')
  t.equal((await ask(session, { ':path': '/' })).status, 200)
  const answer = await ask(session, { ':path': '/', ':authority': 'b.example.com' })
  t.match([answer.status, answer.json().code], [421, 'FST_PROX_MISDIRECTED'])
})

t.test('whoever does not accept our certificate is told of pass()', async (t) => {
  const failed = recorded<HandshakeFailed>(t, 'handshake:failed')
  const { proxy } = await startPolicy(t, () => undefined)
  const socket = (await proxy.tunnel('pinned.test:443')).detach()
  await once(tls.connect({ socket, servername: 'pinned.test' }), 'error')
  const advice = 'add its certificate to what the client trusts, or have onConnect answer pass() for pinned.test'
  t.match(await failed.next(), { refused: true, advice })
  t.match((await proxy.log.next(/tunnel to pinned.test:443 closed: the client/)).msg, advice)
})
