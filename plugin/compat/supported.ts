/** Checks at start-up that the running Node has what this folder relies on. Fastify is checked by `fastify-routers`. */
import * as http2 from 'node:http2'
import { FST_PROX_UNSUPPORTED_NODE } from '../errors'
import { hintsKeepAlive, keepsServerOptions } from './http1-server'
import { takesAddressBelowTls } from './peer-address'
import { tellsResponse } from './pipelining'
import { takesAddress } from './socket-address'
import { releasesTlsSockets } from './tls-socket'

/** Whether the running Node has something, by the name of that. */
const CHECKS: Readonly<Record<string, () => boolean>> = {
  'http2.performServerHandshake': () => 'performServerHandshake' in http2,
  'http.Server: maxHeaderSize': keepsServerOptions,
  'http.ServerResponse: _keepAliveTimeout': hintsKeepAlive,
  'net.Socket: _httpMessage': tellsResponse,
  'net.Socket: _peername': takesAddress,
  'tls.TLSSocket: _handle.getpeername': takesAddressBelowTls,
  'tls.TLSSocket: _releaseControl': releasesTlsSockets
}

/** @throws FST_PROX_UNSUPPORTED_NODE that names what is missing */
export function assertSupported (checks = CHECKS): void {
  for (const [name, has] of Object.entries(checks)) {
    if (!has()) throw new FST_PROX_UNSUPPORTED_NODE(process.version, name)
  }
}
