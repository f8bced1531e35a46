/**
 * Reads and writes DER (X.690) with node-forge's `asn1`, whose values are binary strings: the files beside this one
 * handle sequences and buffers alone.
 */
import { asn1 } from 'node-forge'

/** A node of an ASN.1 tree. */
export type Node = asn1.Asn1

const { Class, Type } = asn1

/** The bit of a tag that marks a constructed encoding (X.690 8.1.2.5). */
const CONSTRUCTED = 0x20

function primitive (type: asn1.Type, value: string | Buffer): Node {
  return asn1.create(Class.UNIVERSAL, type, false, typeof value === 'string' ? value : value.toString('latin1'))
}

export function sequence (...children: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, children)
}

export function set (...children: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, children)
}

/** Wraps nodes in `[tag]`: an EXPLICIT tag, or an IMPLICIT one of a constructed type. */
export function tagged (tag: number, ...children: Node[]): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag, true, children)
}

/** `[tag] IMPLICIT` of a primitive type. */
export function implicit (tag: number, value: string | Buffer): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag, false, typeof value === 'string' ? value : value.toString('latin1'))
}

/** BOOLEAN TRUE. FALSE is never written: where it is the default, DER leaves it out (X.690 11.5). */
export const TRUE: Node = primitive(Type.BOOLEAN, '\xff')

/** Makes an INTEGER from a number, or from its big-endian two's complement. */
export function integer (value: number | Buffer): Node {
  return primitive(Type.INTEGER, typeof value === 'number' ? asn1.integerToDer(value).getBytes() : value)
}

export function oid (dotted: string): Node {
  return primitive(Type.OID, asn1.oidToDer(dotted).getBytes())
}

export function nullNode (): Node {
  return primitive(Type.NULL, '')
}

export function octets (value: Buffer): Node {
  return primitive(Type.OCTETSTRING, value)
}

/** Makes a BIT STRING; `unused` is the number of unused bits in its last octet (X.690 8.6.2). */
export function bits (value: Buffer, unused = 0): Node {
  return primitive(Type.BITSTRING, Buffer.concat([Buffer.from([unused]), value]))
}

export function utf8 (value: string): Node {
  return primitive(Type.UTF8, Buffer.from(value))
}

export function printable (value: string): Node {
  return primitive(Type.PRINTABLESTRING, value)
}

export function bmp (value: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.BMPSTRING, false, value)
}

/**
 * Makes a time from milliseconds since the epoch: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 4.1.2.5).
 */
export function time (milliseconds: number): Node {
  const date = new Date(milliseconds)
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date).toString())
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date).toString())
}

/** Nodes that are encoded already, one behind the other. */
export type Encoded = string

export function encodeAll (nodes: readonly Node[]): Encoded {
  return nodes.map((node) => asn1.toDer(node).getBytes()).join('')
}

/** Makes a SEQUENCE of nodes that are encoded already. */
export function sequenceOf (encoded: Encoded): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE | CONSTRUCTED, false, encoded)
}

/** Encodes the content of a constructed node in advance: it costs little wherever it is used many times. */
export function frozen (node: Node): Node {
  return asn1.create(node.tagClass, node.type | CONSTRUCTED, false, encodeAll(children(node)))
}

export function encode (node: Node): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
}

/** With node-forge's `decodeBitStrings` a public key, which may be DER itself, would come back as a tree. */
const READING = { strict: true, parseAllBytes: true, decodeBitStrings: false }

/**
 * Reads one value.
 *
 * @throws on anything that is not DER.
 */
export function decode (der: Buffer): Node {
  // The types know the older signature only, in which the second argument is `strict`.
  return asn1.fromDer(der.toString('latin1'), READING as unknown as boolean)
}

/** The nodes within a constructed node. */
export function children (node: Node): Node[] {
  return node.value as Node[]
}

/** The bytes within a primitive node. */
export function contents (node: Node): Buffer {
  return Buffer.from(node.value as string, 'latin1')
}

/** The dotted form of an OBJECT IDENTIFIER. */
export function dotted (node: Node): string {
  return asn1.derToOid(node.value as string)
}
