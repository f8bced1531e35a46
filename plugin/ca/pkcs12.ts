/** Writes PKCS #12 (RFC 7292) with certificates alone, for the import dialogues of systems and browsers. */
import { createHmac } from 'node:crypto'
import { md, pkcs12, util } from 'node-forge'
import { bmp, encode, integer, nullNode, octets, oid, sequence, set, tagged } from './der'
import type { Node } from './der'

const OID = {
  data: '1.2.840.113549.1.7.1',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  // Java trusts a certificate that carries this attribute.
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  anyExtendedKeyUsage: '2.5.29.37.0',
  sha1: '1.3.14.3.2.26'
} as const

const MAC_KEY_ID = 3
const MAC_ITERATIONS = 2048
const MAC_KEY_LENGTH = 20

interface NamedCertificate {
  readonly name: string
  readonly der: Buffer
}

function contentInfo (content: Buffer): Node {
  return sequence(oid(OID.data), tagged(0, octets(content)))
}

/**
 * Writes certificates as PKCS #12 with the empty password. They are not encrypted; the MAC, whose key
 * everyone knows, detects damage alone, and SHA-1 is the digest that every importer knows.
 */
export function certificatesPkcs12 (certificates: readonly NamedCertificate[]): Buffer {
  const bags = certificates.map(({ der, name }) => sequence(
    oid(OID.certBag),
    tagged(0, sequence(oid(OID.x509Certificate), tagged(0, octets(der)))),
    set(
      sequence(oid(OID.friendlyName), set(bmp(name))),
      sequence(oid(OID.trustedKeyUsage), set(oid(OID.anyExtendedKeyUsage))))))
  const authSafe = encode(sequence(contentInfo(encode(sequence(...bags)))))
  // The password is no secret, so the salt is part of the certificate: the file is the same every time.
  const salt = certificates[0]!.der.subarray(-8)
  const key = pkcs12.generateKey(
    '', util.createBuffer(salt.toString('latin1')), MAC_KEY_ID, MAC_ITERATIONS, MAC_KEY_LENGTH, md.sha1.create())
  const mac = createHmac('sha1', Buffer.from(key.getBytes(), 'latin1')).update(authSafe).digest()
  return encode(sequence(
    integer(3),
    contentInfo(authSafe),
    sequence(sequence(sequence(oid(OID.sha1), nullNode()), octets(mac)), octets(salt), integer(MAC_ITERATIONS))))
}
