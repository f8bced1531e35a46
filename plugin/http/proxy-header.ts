/**
 * The header of the PROXY protocol, versions 1 and 2, by which a balancer tells whose connection it hands on
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Pure functions.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net'

export interface Endpoint {
  readonly address: string
  readonly port: number
  readonly family: 'IPv4' | 'IPv6'
}

/**
 * - `local`: the balancer's own connection, a health check say, or one that it knows nothing of (`LOCAL`, `UNKNOWN`,
 *   `UNSPEC`)
 * - `unix`: a client on a unix socket, which has no address
 * - `inet`: a client with an address
 */
export type Peers =
  | { readonly kind: 'local' | 'unix' }
  | { readonly kind: 'inet', readonly source: Endpoint, readonly destination: Endpoint }

export interface ProxyHeader {
  /** Bytes; what follows them is the client's. */
  readonly length: number
  readonly peers: Peers
}

const V1_START = Buffer.from('PROXY ')
/** Of a line with its CRLF (2.1). */
const V1_MAX = 107

const V2_START = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
/** What stands before the addresses: the signature, version and command, family and protocol, and a length (2.2). */
const V2_FIXED = 16
/** As nginx has it: addresses take 216 bytes at most, and what balancers add to them a few hundred. */
const V2_MAX = 4_096

const LOCAL: Peers = { kind: 'local' }

/**
 * Reads the header that a connection begins with.
 * @returns `undefined`: more bytes have to come; `null`: this is no header, or one with a mistake in it
 */
export function parseProxyHeader (bytes: Buffer): ProxyHeader | null | undefined {
  if (startsWith(bytes, V1_START)) return bytes.length < V1_START.length ? undefined : parseLine(bytes)
  if (!startsWith(bytes, V2_START)) return null
  return bytes.length < V2_FIXED ? undefined : parseBinary(bytes)
}

/** Whether bytes begin as a signature does, as far as they go. */
function startsWith (bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length)
  return bytes.compare(signature, 0, length, 0, length) === 0
}

const PORT = '(0|[1-9]\\d{0,4})'
const V1_INET = new RegExp(`^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) ${PORT} ${PORT}$`)
const V1_UNKNOWN = /^PROXY UNKNOWN(?: .*)?$/s

function parseLine (bytes: Buffer): ProxyHeader | null | undefined {
  const end = bytes.subarray(0, V1_MAX).indexOf('\r\n')
  if (end === -1) return bytes.length < V1_MAX ? undefined : null
  const line = bytes.toString('latin1', 0, end)
  const length = end + 2
  if (V1_UNKNOWN.test(line)) return { length, peers: LOCAL }
  const [, version, from = '', to = '', fromPort, toPort] = V1_INET.exec(line) ?? []
  const isAddress = version === '4' ? isIPv4 : isIPv6
  const ports = [Number(fromPort), Number(toPort)] as const
  if (version === undefined || !isAddress(from) || !isAddress(to) || Math.max(...ports) > 0xffff) return null
  const family = version === '4' ? 'ipv4' : 'ipv6'
  return {
    length,
    peers: { kind: 'inet', source: endpoint(from, ports[0], family), destination: endpoint(to, ports[1], family) }
  }
}

function parseBinary (bytes: Buffer): ProxyHeader | null | undefined {
  const length = V2_FIXED + bytes.readUInt16BE(14)
  const version = bytes[12]! >> 4
  const command = bytes[12]! & 0xf
  if (version !== 2 || command > 1 || length > V2_MAX) return null
  if (bytes.length < length) return undefined
  // The family of a LOCAL one says nothing (2.2).
  const peers = command === 0 ? LOCAL : parseAddresses(bytes[13]!, bytes.subarray(V2_FIXED, length))
  return peers === null ? null : { length, peers }
}

/** @param block what the length covers: the addresses, and behind them TLVs, which are skipped */
function parseAddresses (family: number, block: Buffer): Peers | null {
  switch (family) {
    case 0x00: return LOCAL
    case 0x11: return parseInet(block, 'ipv4', 4)
    case 0x21: return parseInet(block, 'ipv6', 16)
    case 0x31: return block.length < 216 ? null : { kind: 'unix' }
    // Datagrams do not come over a connection; the rest is for later versions, and refused (2.2).
    default: return null
  }
}

function parseInet (block: Buffer, family: 'ipv4' | 'ipv6', size: number): Peers | null {
  if (block.length < 2 * size + 4) return null
  const address = (at: number): string => {
    const bytes = block.subarray(at, at + size)
    return size === 4 ? bytes.join('.') : bytes.toString('hex').replace(/....(?!$)/g, '$&:')
  }
  const port = (at: number): number => block.readUInt16BE(2 * size + at)
  return {
    kind: 'inet', source: endpoint(address(0), port(0), family), destination: endpoint(address(size), port(2), family)
  }
}

/** The address in the form that sockets tell theirs in. */
function endpoint (text: string, port: number, family: 'ipv4' | 'ipv6'): Endpoint {
  const { address } = new SocketAddress({ address: text, family })
  return { address, port, family: family === 'ipv4' ? 'IPv4' : 'IPv6' }
}
