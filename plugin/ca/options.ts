/** Checks the options of the authority, and fills in what was left out. */
import { KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import type {
  CertificateAuthorityKeyPair, CertificateAuthorityOptions, CertificateStore, KeyType
} from '../../types/ca'
import { FST_PROX_INVALID_OPTION, isPemText, show } from '../errors'
import { BOOLEAN, MILLISECONDS, PATH, WHOLE_NUMBER, checkOptions, isFilledString, isObject } from '../option-rules'
import type { Rule, Rules } from '../option-rules'
import { UNCONSTRAINED, constraintsOf } from './constraints'
import type { NameConstraints } from './constraints'
import { COMMON_NAME_LENGTH } from './x509'

/** How a CA is made. */
export interface NewAuthority {
  readonly name: string
  readonly keyType: KeyType
  readonly constraints: NameConstraints
}

/** The options, complete. */
export interface Settings {
  /** The CA of the user's own, or where one is kept. */
  readonly origin: CertificateAuthorityKeyPair | { readonly store: CertificateStore } | { readonly file: string }
  readonly make: NewAuthority
  readonly leafKeyType: KeyType
  readonly wildcards: boolean
  readonly cacheSize: number
  readonly tls: SecureContextOptions
  /** Milliseconds; 0: never. */
  readonly refresh: number
}

/** With these a leaf would be served with another key than its own. */
const NOT_IN_TLS = ['key', 'cert', 'pfx']

/** What `tls.createSecureContext` takes beside a leaf. */
export const TLS: Rule = {
  takes: `options of tls.createSecureContext other than ${NOT_IN_TLS.join(', ')}`,
  accepts: (value) => isObject(value) && NOT_IN_TLS.every((name) => !(name in value))
}

const KEY_TYPE: Rule = { takes: "'ec' or 'rsa'", accepts: (value) => value === 'ec' || value === 'rsa' }

/** For the option `ca` as a whole. */
export const CA: Rule = {
  takes: (value) => typeof value === 'string'
    ? `an object: { file: ${isPemText(value) ? "'./ca.pem'" : show(value)} } for a CA in a file`
    : 'an object',
  accepts: isObject
}

function hasMethod (value: object, name: string): boolean {
  return typeof Reflect.get(value, name) === 'function'
}

const RULES: Rules<keyof CertificateAuthorityOptions> = {
  name: {
    takes: `a string of 1 to ${COMMON_NAME_LENGTH} characters`,
    accepts: (value) => isFilledString(value) && value.length <= COMMON_NAME_LENGTH && !/\p{Cc}/u.test(value)
  },
  file: PATH,
  store: {
    takes: 'an object with the methods get and add, or get and set',
    accepts: (value) => {
      return isObject(value) && hasMethod(value, 'get') && (hasMethod(value, 'add') || hasMethod(value, 'set'))
    }
  },
  key: {
    takes: 'a private key as PEM, DER or KeyObject, along with ca.cert',
    accepts: (value) => isFilledString(value) || Buffer.isBuffer(value) ||
      (value instanceof KeyObject && value.type === 'private')
  },
  cert: {
    takes: 'a certificate as PEM or DER, along with ca.key',
    accepts: (value) => isFilledString(value) || Buffer.isBuffer(value)
  },
  keyType: KEY_TYPE,
  leafKeyType: KEY_TYPE,
  permit: {
    takes: "a list of DNS names, addresses and networks, such as ['.test', '10.0.0.0/8']",
    accepts: (value) => Array.isArray(value) && value.length > 0 && value.every(isPermit)
  },
  wildcards: BOOLEAN,
  cacheSize: WHOLE_NUMBER,
  refresh: MILLISECONDS,
  tls: TLS
}

function isPermit (value: unknown): boolean {
  try {
    return typeof value === 'string' && constraintsOf([value]) !== undefined
  } catch {
    return false
  }
}

/**
 * Checks that Node accepts the TLS options.
 *
 * @param name what the option is called where the user wrote it.
 * @throws FST_PROX_INVALID_OPTION
 */
export function assertTls (tls: SecureContextOptions, name: string): void {
  try {
    createSecureContext({ ca: [], ...tls })
  } catch (err) {
    // OpenSSL's words, which quote none of the values.
    throw new FST_PROX_INVALID_OPTION(name, String(TLS.takes), `some that it refuses: ${(err as Error).message}`)
  }
}

/** What has no meaning for a CA that exists already. */
const FOR_NEW = ['file', 'store', 'name', 'keyType', 'permit', 'refresh'] as const

/** Where the CA comes from, of options that exclude each other. */
function originOf (options: CertificateAuthorityOptions): Settings['origin'] {
  const { file, store, key, cert } = options
  const refuse = (name: string, takes: string, got: string): never => {
    throw new FST_PROX_INVALID_OPTION(`ca.${name}`, takes, got)
  }
  if (key !== undefined || cert !== undefined) {
    if (key === undefined) return refuse('key', String(RULES.key.takes), 'ca.cert alone')
    if (cert === undefined) return refuse('cert', String(RULES.cert.takes), 'ca.key alone')
    const other = FOR_NEW.find((name) => options[name] !== undefined)
    if (other !== undefined) return refuse(other, 'no value beside ca.key and ca.cert', show(options[other]))
    return { key, cert }
  }
  if (store === undefined) return { file: file ?? './ca/fastify-prox-ca.pem' }
  return file === undefined ? { store } : refuse('file', 'no value beside ca.store', show(file))
}

/**
 * Checks the options and fills in what was left out; an `undefined` one counts as left out.
 *
 * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION
 */
export function readOptions (options: CertificateAuthorityOptions): Settings {
  checkOptions({ ca: options }, { ca: { ...CA, options: RULES } })
  const {
    name = 'fastify-prox https proxy CA', keyType = 'ec', leafKeyType = 'ec', permit, wildcards = true,
    cacheSize = 1000, refresh = 60_000, tls = {}
  } = options
  assertTls(tls, 'ca.tls')
  const constraints = permit === undefined ? UNCONSTRAINED : constraintsOf(permit)
  return {
    origin: originOf(options), make: { name, keyType, constraints }, leafKeyType, wildcards, cacheSize, refresh, tls
  }
}
