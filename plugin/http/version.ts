/** The version of HTTP that a request came in. */
import type { Http2ServerRequest } from 'node:http2'
import type { RawRequest } from '../../types/options'

export function isHttp2 (raw: RawRequest): raw is Http2ServerRequest {
  return raw.httpVersionMajor === 2
}
