/**
 * Proxies that pass tunnels through, and the hosts behind them.
 *
 *   const host = await startHost(t, (socket) => { … })      a TCP server on the loopback: `host.port`, `host.sockets`
 *   const site = await startSite(t, 'answer')                   HTTPS by a private root: `site.port`, `site.root`
 *   const proxy = await startPassing(t)                         passes everything on the loopback
 */
import { once } from 'node:events'
import https from 'node:https'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { start } from '../support/proxy'
import type { Proxy, ProxyOptions } from '../support/proxy'
import { echo, PROX } from './support'

export const LOCAL = ['127.0.0.0/8', '::1']

export interface Host {
  readonly port: number
  /** Those that are open. */
  readonly sockets: Set<net.Socket>
}

/** Ends what it has when the test ends. Sockets keep their side open when the other one has ended. */
export async function startHost (
  t: Test, listener: (socket: net.Socket) => void, server = net.createServer({ allowHalfOpen: true })
): Promise<Host> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    listener(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

let authority: Promise<CertificateAuthority> | undefined

export async function startSite (t: Test, body: string, names = ['localhost']): Promise<Host & { root: string }> {
  const ca = await (authority ??= CertificateAuthority.load({ store: new Map(), name: 'The root of the real site' }))
  const contexts = new Map(await Promise.all(names.map(async (name) => [name, await ca.secureContext(name)] as const)))
  const { key, cert } = await ca.issue(names[0]!)
  const server = https.createServer({
    key, cert, SNICallback: (name, callback) => callback(null, contexts.get(name))
  }, (_request, response) => response.end(body))
  return { ...await startHost(t, () => {}, server), root: ca.certificatePem }
}

export async function startPassing (
  t: Test, options: fastifyProx.PassOptions = {}, more: ProxyOptions = {}
): Promise<Proxy> {
  const decision = fastifyProx.pass({ allow: LOCAL, ...options })
  return await start(t, { ...more, prox: { ...PROX, onConnect: () => decision, ...more.prox } }, echo)
}
