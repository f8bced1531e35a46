/** Headers of the PROXY protocol, right ones and wrong ones. Nothing is checked. */
import { isIPv4, SocketAddress } from 'node:net'

export const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

export const FAMILY = { unspec: 0x00, tcp4: 0x11, udp4: 0x12, tcp6: 0x21, unix: 0x31 } as const

/** Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 40000 443`. */
export function line (from: string, to = '198.51.100.1', ports = '40000 443'): Buffer {
  return Buffer.from(`PROXY TCP${isIPv4(from) ? 4 : 6} ${from} ${to} ${ports}\r\n`, 'latin1')
}

/** Version 2 with a block of addresses and TLVs. */
export function binary (family: number, block: Buffer = Buffer.alloc(0), command = 0x21): Buffer {
  const head = Buffer.from([command, family, block.length >> 8, block.length & 255])
  return Buffer.concat([SIGNATURE, head, block])
}

/** Version 2 for a client's address; `to` is of the same family. */
export function binaryOf (from: string, to: string, tlvs: Buffer = Buffer.alloc(0)): Buffer {
  const ports = Buffer.from([40_000 >> 8, 40_000 & 255, 443 >> 8, 443 & 255])
  const family = isIPv4(from) ? FAMILY.tcp4 : FAMILY.tcp6
  return binary(family, Buffer.concat([bytesOf(from), bytesOf(to), ports, tlvs]))
}

/** Type, length, value (2.2.1). */
export function tlv (type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value])
}

function bytesOf (address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const { address: text } = new SocketAddress({ address, family: 'ipv6' })
  const [left = '', right = ''] = text.split('::').map((half) => {
    return half.split(':').filter(Boolean).map((group) => group.padStart(4, '0')).join('')
  })
  return Buffer.from(left + '0'.repeat(32 - left.length - right.length) + right, 'hex')
}
