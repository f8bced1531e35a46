/** Percent-encoding (RFC 3986 2.1) that is no UTF-8: old sites have paths such as `/caf%E9` and `/50%off`. */

/** One well-formed percent-encoded UTF-8 character (RFC 3629 4), or else one `%`. */
const ENCODED = new RegExp([
  '%[0-7][0-9A-F]',
  '%(?:C[2-9A-F]|D[0-9A-F])%[89AB][0-9A-F]',
  '%E0%[AB][0-9A-F]%[89AB][0-9A-F]',
  '%(?:E[1-9A-CEF])%[89AB][0-9A-F]%[89AB][0-9A-F]',
  '%ED%[89][0-9A-F]%[89AB][0-9A-F]',
  '%F0%[9AB][0-9A-F]%[89AB][0-9A-F]%[89AB][0-9A-F]',
  '%F[1-3]%[89AB][0-9A-F]%[89AB][0-9A-F]%[89AB][0-9A-F]',
  '%F4%8[0-9A-F]%[89AB][0-9A-F]%[89AB][0-9A-F]',
  '%'
].join('|'), 'gi')

/**
 * Returns a URL's path and query with each `%` of the path that begins no UTF-8 character written as `%25`, so that
 * `decodeURI` takes it and gives that part back as it was written: `/%E9/%C3%A9` becomes `/%25E9/%C3%A9`, which is
 * decoded to `/%E9/é`.
 */
export function withDecodablePath (url: string): string {
  if (!url.includes('%')) return url
  const end = url.search(/[?#]/)
  const path = end === -1 ? url : url.slice(0, end)
  const decodable = path.replace(ENCODED, (character) => character === '%' ? '%25' : character)
  return decodable.length === path.length ? url : decodable + url.slice(path.length)
}
