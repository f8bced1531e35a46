/** The options of the authority: checked, and with their defaults. */
import { KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import type { CertificateAuthorityKeyPair, CertificateAuthorityOptions, CertificateStore } from '../../types/ca'
import { FST_PROX_INVALID_OPTION } from '../errors'
import { UNCONSTRAINED, constraintsOf } from './constraints'
import type { NameConstraints } from './constraints'
import { COMMON_NAME_LENGTH } from './x509'

/** What a CA that is made is like. */
export interface NewAuthority {
  readonly name: string
  readonly keyType: 'ec' | 'rsa'
  readonly constraints: NameConstraints
}

/** Options as the authority uses them. */
export interface Settings {
  /** The CA of the user's own, or where one is kept. */
  readonly origin: CertificateAuthorityKeyPair | { readonly store: CertificateStore } | { readonly file: string }
  readonly make: NewAuthority
  readonly wildcards: boolean
  readonly cacheSize: number
  readonly tls: SecureContextOptions
}

type Name = keyof CertificateAuthorityOptions

interface Rule {
  readonly takes: string
  readonly accepts: (value: unknown) => boolean
}

const isString = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What would have a leaf served with another key than its own. */
const NOT_IN_TLS = ['key', 'cert', 'pfx']

const RULES: Record<Name, Rule> = {
  name: {
    takes: `a string of 1 to ${COMMON_NAME_LENGTH} characters`,
    accepts: value => isString(value) && value.length <= COMMON_NAME_LENGTH && !/\p{Cc}/u.test(value)
  },
  file: { takes: 'a path', accepts: isString },
  store: {
    takes: 'an object with the methods get and set',
    accepts: value => isObject(value) && ['get', 'set'].every(method => typeof Reflect.get(value, method) === 'function')
  },
  key: {
    takes: 'a private key as PEM, DER or KeyObject, along with ca.cert',
    accepts: value => isString(value) || Buffer.isBuffer(value) || (value instanceof KeyObject && value.type === 'private')
  },
  cert: { takes: 'a certificate as PEM or DER, along with ca.key', accepts: value => isString(value) || Buffer.isBuffer(value) },
  keyType: { takes: "'ec' or 'rsa'", accepts: value => value === 'ec' || value === 'rsa' },
  permit: {
    takes: "a list of DNS names, addresses and networks, such as ['.test', '10.0.0.0/8']",
    accepts: value => Array.isArray(value) && value.length > 0 && value.every(isPermit)
  },
  wildcards: { takes: 'true or false', accepts: value => typeof value === 'boolean' },
  cacheSize: { takes: 'a whole number from 1', accepts: value => Number.isSafeInteger(value) && (value as number) > 0 },
  tls: {
    takes: `options of tls.createSecureContext other than ${NOT_IN_TLS.join(', ')}`,
    accepts: value => isObject(value) && NOT_IN_TLS.every(name => !(name in value))
  }
}

function isPermit (value: unknown): boolean {
  try {
    return typeof value === 'string' && constraintsOf([value]) !== undefined
  } catch {
    return false
  }
}

/** A value in a message; a private key does not go into one, wherever it was put by mistake. */
function describe (value: unknown): string {
  const text = inspect(value, { depth: 0, maxStringLength: 64 })
  return text.includes('-----BEGIN') ? 'a PEM text' : text
}

function refuse (name: string, takes: string, got: string): never {
  throw new FST_PROX_INVALID_OPTION(`ca.${name}`, takes, got)
}

/** What has no meaning for a CA that exists already. */
const FOR_MADE = ['file', 'store', 'name', 'keyType', 'permit'] as const

/**
 * Checks the options; an `undefined` one is as good as one that is not there.
 *
 * @throws FST_PROX_INVALID_OPTION
 */
export function readOptions (options: CertificateAuthorityOptions): Settings {
  if (!isObject(options)) throw new FST_PROX_INVALID_OPTION('ca', 'an object', describe(options))
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(RULES, name)) refuse(name, `no value; there are ${Object.keys(RULES).join(', ')}`, describe(value))
    const { takes, accepts } = RULES[name as Name]
    if (value !== undefined && !accepts(value)) refuse(name, takes, describe(value))
  }
  const { name = 'fastify-prox https proxy CA', file, store, key, cert, keyType = 'ec', permit, wildcards = true, cacheSize = 1000, tls = {} } = options
  try {
    createSecureContext({ ca: [], ...tls })
  } catch (error) {
    refuse('tls', RULES.tls.takes, `some that it refuses: ${(error as Error).message}`)
  }
  const make = { name, keyType, constraints: permit === undefined ? UNCONSTRAINED : constraintsOf(permit) }
  const settings = { make, wildcards, cacheSize, tls }
  if (key !== undefined || cert !== undefined) {
    if (key === undefined) refuse('key', RULES.key.takes, 'ca.cert alone')
    if (cert === undefined) refuse('cert', RULES.cert.takes, 'ca.key alone')
    const idle = FOR_MADE.find(other => options[other] !== undefined)
    if (idle !== undefined) refuse(idle, 'no value beside ca.key and ca.cert', describe(options[idle]))
    return { ...settings, origin: { key, cert } }
  }
  if (store === undefined) return { ...settings, origin: { file: file ?? './ca/fastify-prox-ca.pem' } }
  if (file !== undefined) refuse('file', 'no value beside ca.store', describe(file))
  return { ...settings, origin: { store } }
}
