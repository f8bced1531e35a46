/** The field by which a client says who it is to a proxy: `name:password` as Basic credentials (RFC 7617). */
export function basic (userinfo: string | Buffer, encoding: BufferEncoding = 'utf8'): Record<string, string> {
  const bytes = typeof userinfo === 'string' ? Buffer.from(userinfo, encoding) : userinfo
  return { 'proxy-authorization': `Basic ${bytes.toString('base64')}` }
}
