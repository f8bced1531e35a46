/** Errors of the certificate authority, and of the hosts that it signs for. */
import createError from '@fastify/error'

/** Neither a DNS name nor an IP address. */
export const FST_PROX_INVALID_HOST = createError<[host: string]>(
  'FST_PROX_INVALID_HOST', '%s is neither a host name nor an IP address', 400)

/** The name constraints of the CA (RFC 5280 4.2.1.10) keep it from signing for the host: clients would refuse it. */
export const FST_PROX_HOST_NOT_PERMITTED = createError<[host: string, ca: string]>(
  'FST_PROX_HOST_NOT_PERMITTED', 'The name constraints of the CA "%s" do not permit a certificate for %s', 403)

/** The CA is there and cannot be read. */
export const FST_PROX_CA_UNREADABLE = createError<[source: string, reason: string]>(
  'FST_PROX_CA_UNREADABLE', 'The certificate authority in %s cannot be read: %s')

/** What is there is not a private key and a certificate. */
export const FST_PROX_CA_CORRUPT = createError<[source: string, reason: string]>(
  'FST_PROX_CA_CORRUPT', 'There is no usable certificate authority in %s: %s. It was left as it is')

/** No certificate there belongs to the private key. */
export const FST_PROX_CA_MISMATCH = createError<[source: string]>(
  'FST_PROX_CA_MISMATCH',
  'The private key and the certificate in %s do not belong together. They were left as they are')

/** The certificate may not sign others (RFC 5280 4.2.1.9 and 4.2.1.3). */
export const FST_PROX_CA_NOT_A_CA = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_A_CA', 'The certificate in %s is not one of a certificate authority: %s. It was left as it is')

/** Its time is over, or has not come. */
export const FST_PROX_CA_EXPIRED = createError<[source: string, notBefore: string, notAfter: string]>(
  'FST_PROX_CA_EXPIRED', 'The certificate authority in %s is valid from %s to %s only. It was left as it is')

/** Too many hosts wait for their certificates. */
export const FST_PROX_CA_BUSY = createError<[limit: number]>(
  'FST_PROX_CA_BUSY', 'Too many hosts wait for a certificate: the limit is %s', 503)

/** Those who asked for a certificate were gone before it was minted: closed tunnels. */
export const FST_PROX_LEAF_UNWANTED = createError<[host: string]>(
  'FST_PROX_LEAF_UNWANTED', 'Nobody waits for a certificate for %s any more', 499)

/** A private key of a kind that TLS clients do not verify. */
export const FST_PROX_CA_UNSUPPORTED_KEY = createError<[source: string, kind: string]>(
  'FST_PROX_CA_UNSUPPORTED_KEY', 'The private key in %s is %s; RSA, P-256, P-384, P-521 and Ed25519 can be used')

/** A new CA cannot be kept. */
export const FST_PROX_CA_NOT_WRITABLE = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_WRITABLE', 'A new certificate authority cannot be kept in %s: %s. ' +
  'Make its directory writable, choose another place with the option ca.file, hand in ca.key and ca.cert, ' +
  'or keep it in memory with ca.store: new Map()')

/** A step of a rotation that cannot be taken. */
export const FST_PROX_CA_NOT_ROTATED = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_ROTATED', 'The certificate authority in %s cannot be rotated: %s')
