/** The example records a site, and replays it when the site is gone. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startSite } from '../forward/support'
import { connect } from '../support/raw'
import { startExample } from './example'

t.test('records, and replays', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('page'))
  const url = `http://127.0.0.1:${site.port}/`
  const recording = await startExample(t, 'record', { HAR: 'record', ALLOW: '127.0.0.1' })
  const first = await connect(t, { host: 'localhost', port: recording.port })
  t.equal((await first.ask('GET', url, { connection: 'close' })).body, 'page')
  t.equal(await recording.stop(), 0)
  const file = readFileSync(join(recording.directory, 'site.har'), 'utf8')
  site.server.close()
  const replaying = await startExample(t, 'record', {}, { 'site.har': file })
  const second = await connect(t, { host: 'localhost', port: replaying.port })
  t.equal((await second.ask('GET', url)).body, 'page')
  t.match(await second.ask('GET', `${url}other`), { status: 501, body: /path: \/, not \/other/ })
  t.equal(site.seen.length, 1)
})
