/** Checks at start-up that the running Node has what this folder relies on. Fastify is checked by `fastify-routers`. */
import * as http2 from 'node:http2'
import { FST_PROX_UNSUPPORTED_NODE } from '../errors'
import { missingInHttp1Server } from './http1-server'
import { missingInPipelining } from './pipelining'
import { missingInSocketAddress } from './socket-address'
import { missingInTlsSocket } from './tls-socket'

/** Each names what is missing, or `null`. */
const CHECKS: ReadonlyArray<() => string | null> = [
  () => 'performServerHandshake' in http2 ? null : 'http2.performServerHandshake (Node 20.12)',
  missingInHttp1Server,
  missingInPipelining,
  missingInSocketAddress,
  missingInTlsSocket
]

/** @throws FST_PROX_UNSUPPORTED_NODE that names what is missing */
export function assertSupported (checks = CHECKS): void {
  for (const check of checks) {
    const missing = check()
    if (missing !== null) throw new FST_PROX_UNSUPPORTED_NODE(process.version, missing)
  }
}
