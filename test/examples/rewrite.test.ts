import t from 'tap'
import { startExample } from './example'
import { connect } from '../support/raw'
import { startSite } from '../forward/support'

const PAGE = '<!DOCTYPE html>\n<html><head><title>t</title></head><BODY class="a>b">\n<p>\u00fc</p></BODY></html>\n'

t.test('puts a line on top of pages', async (t) => {
  const pages: Record<string, string> = {
    '/page': PAGE,
    '/bare': 'no tags',
    '/long': '<bo<bodyx><b'.repeat(100_000) + PAGE,
    '/pieces': PAGE,
    '/text': PAGE,
    '/utf16': PAGE
  }
  const types: Record<string, string> = { '/text': 'text/plain', '/utf16': 'text/html; charset=utf-16' }
  const site = await startSite(t, (request, response) => {
    const page = pages[request.url!]!
    response.writeHead(200, { 'content-type': types[request.url!] ?? 'text/html; charset=utf-8', etag: '"1"' })
    if (request.url !== '/pieces') return response.end(page)
    for (const byte of Buffer.from(page)) response.write(Buffer.of(byte))
    response.end()
  })
  const { port } = await startExample(t, 'rewrite', { BANNER: 'Seen <here> \u00fc', ALLOW: '127.0.0.0/8' })
  const ask = async (path: string, accept = 'text/html') => {
    const client = await connect(t, { host: 'localhost', port })
    return await client.ask('GET', `http://127.0.0.1:${site.port}${path}`, { accept, 'accept-encoding': 'gzip' })
  }
  const changed = PAGE.replace('<BODY class="a>b">', '$&<p>Seen &#60;here&#62; &#252;</p>')
  const page = await ask('/page')
  const { body, headers } = page
  t.strictSame([body, headers.etag, headers['content-type']], [changed, undefined, 'text/html; charset=utf-8'])
  t.equal((await ask('/pieces')).body, changed)
  t.equal((await ask('/long')).body, pages['/long']!.replace(PAGE, changed))
  for (const path of ['/bare', '/text', '/utf16']) t.equal((await ask(path)).body, pages[path], path)
})
