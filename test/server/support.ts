/** What the tests of CONNECT share, on top of test/support. */
import type { Proxy } from '../support/proxy'

/** The status code and the error code of a refusal, read to its end. */
export async function refusal (
  proxy: Proxy, authority: string, headers?: Record<string, string>
): Promise<[status: number, code: unknown]> {
  const { client, response: { status, headers: { connection }, body } } = await proxy.connect(authority, headers)
  if (status === 200) throw new Error('the tunnel opened')
  if (connection !== 'close' || await client.closed() !== '') throw new Error('the connection is not closed')
  return [status, JSON.parse(body).code]
}
