/** For tests and other programs: what sends their requests here, with or without sockets. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates, Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type * as undici from 'undici'
import type { ProxyAccess, ProxyDispatcher } from '../../types/clients'
import type { CertificateAuthority } from '../../types/ca'
import { proxyEnvironment } from './environment'
import { FST_PROX_NO_UNDICI, FST_PROX_NOT_LISTENING, FST_PROX_UNIX_SOCKET } from '../errors'
import type { ProxyRouter } from '../routing/proxy-router'
import { injector } from './inject-proxy'

/** Adds `injectProxy`, `proxyEnv` and `proxyDispatcher` to the instance. */
export function addClientHelpers (
  fastify: FastifyInstance, router: ProxyRouter, { certificatePem }: CertificateAuthority
): void {
  const certificate = new CertificateFile(certificatePem)
  fastify.addHook('onClose', async () => certificate.remove())

  fastify.decorate('injectProxy', injector(fastify, router))

  fastify.decorate('proxyEnv', (access: ProxyAccess = {}) => {
    const { username, password = '' } = access
    const { scheme, authority } = reachableAddress(fastify, access, 'proxyEnv')
    const userinfo = username === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
    return proxyEnvironment(`${scheme}://${userinfo}${authority}`, certificate.write())
  })

  fastify.decorate('proxyDispatcher', (access: ProxyAccess = {}) => {
    const { username, password = '' } = access
    const { scheme, authority } = reachableAddress(fastify, access, 'proxyDispatcher')
    const { ProxyAgent } = loadUndici()
    return new ProxyAgent({
      uri: `${scheme}://${authority}`,
      // What Node would have undici trust for `requestTls` alone: here every certificate is one of the CA.
      requestTls: { ca: certificatePem },
      proxyTls: { ca: [...rootCertificates, certificatePem] },
      ...(username !== undefined && { token: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` })
    }) as ProxyDispatcher
  })
}

/** The certificate in a file of its own: the one that the CA is kept in has the private key as well. */
class CertificateFile {
  readonly #pem: string
  #directory: string | undefined

  constructor (pem: string) {
    this.#pem = pem
  }

  /** Writes the file, the first time, and returns its name. */
  write (): string {
    if (this.#directory === undefined) {
      // Only the owner may write to it: nobody can put another CA in the place of this one.
      this.#directory = mkdtempSync(join(tmpdir(), 'fastify-prox-'))
      writeFileSync(join(this.#directory, 'ca.pem'), this.#pem)
    }
    return join(this.#directory, 'ca.pem')
  }

  remove (): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true })
  }
}

interface Address {
  readonly scheme: 'http' | 'https'
  /** `host:port`, the port always: where it is missing, curl takes 1080. */
  readonly authority: string
}

const UNSPECIFIED: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
const LOOPBACK = /^(?:127\.|::1$)/

/** Where programs of this machine reach the server. */
function reachableAddress (fastify: FastifyInstance, { hostname }: ProxyAccess, caller: string): Address {
  const addresses = fastify.addresses()
  if (addresses.length === 0) throw new FST_PROX_NOT_LISTENING(caller)
  const ports = addresses.filter((address) => typeof address !== 'string')
  // Of the two that 'localhost' stands for, the one that every program can read.
  const listening = ports.find(({ family }) => family === 'IPv4') ?? ports[0]
  if (listening === undefined) throw new FST_PROX_UNIX_SOCKET(caller)

  const address = UNSPECIFIED[listening.address] ?? listening.address
  const tls = fastify.server instanceof TlsServer
  // The certificate of a server of this machine has its name rather than its address.
  const host = hostname ?? (tls && LOOPBACK.test(address) ? 'localhost' : address)
  return { scheme: tls ? 'https' : 'http', authority: `${isIPv6(host) ? `[${host}]` : host}:${listening.port}` }
}

/** Loaded late: only who asks for a dispatcher needs it. */
function loadUndici (): typeof undici {
  try {
    return require('undici')
  } catch (cause) {
    throw new FST_PROX_NO_UNDICI({ cause })
  }
}
