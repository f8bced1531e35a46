/** Playwright replays our HAR file, and we replay Playwright's; in the Chromium of the machine. */
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext } from 'playwright-core'
import t from 'tap'
import type { Test } from 'tap'
import { withoutChromium } from '../clients/chromium'
import { startSite } from '../forward/support'
import type { Site } from '../forward/support'
import { entriesOf, harFile, startHar, startReplayApp } from './support'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')

const PAGE = `<!doctype html><title>page</title><body>
<img src="/pixel.png" onload="this.title = this.naturalWidth"><script>
  const ask = async (body) => await (
    await fetch('/api?a=1', { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  ).text()
  window.done = (async () => [
    await ask('{"n":1}'), await ask('{"n":2}'), await (await fetch('/moved')).text(),
    document.querySelector('img').title
  ])()
</script>`

async function startPages (t: Test): Promise<Site> {
  return await startSite(t, (request, response) => {
    const { url } = request
    if (url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
    if (url === '/pixel.png') return response.writeHead(200, { 'content-type': 'image/png' }).end(PNG)
    if (url === '/moved') return response.writeHead(302, { location: '/large' }).end()
    if (url === '/large') return response.writeHead(200, { 'content-type': 'text/plain' }).end('large '.repeat(1000))
    if (url === '/api?a=1') return request.pipe(response.writeHead(200, { 'content-type': 'application/json' }))
    return response.writeHead(404).end()
  })
}

async function launch (t: Test, proxyPort?: number): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    chromiumSandbox: false,
    // Chromium goes to loopback addresses without the proxy unless it is told not to.
    ...(proxyPort !== undefined && { proxy: { server: `http://127.0.0.1:${proxyPort}`, bypass: '<-loopback>' } })
  })
  t.teardown(() => browser.close())
  return browser
}

async function visit (context: BrowserContext, url: string): Promise<unknown> {
  const page = await context.newPage()
  await page.goto(url)
  return await page.evaluate('done')
}

const EXPECTED = ['{"n":1}', '{"n":2}', 'large '.repeat(1000), '1']

t.test('Playwright replays what we recorded', { skip: withoutChromium }, async (t) => {
  const file = harFile(t)
  const site = await startPages(t)
  const url = `http://127.0.0.1:${site.port}/`
  const proxy = await startHar(t, { file, mode: 'record', inlineLimit: 1000 })
  const through = await launch(t, proxy.port)
  t.strictSame(await visit(await through.newContext(), url), EXPECTED)
  await through.close()
  await proxy.app.close()
  site.server.close()
  const seen = site.seen.length
  const browser = await launch(t)
  const context = await browser.newContext()
  await context.routeFromHAR(file, { notFound: 'abort' })
  t.strictSame(await visit(context, url), EXPECTED)
  t.equal(site.seen.length, seen)
})

t.test('we replay what Playwright recorded', { skip: withoutChromium }, async (t) => {
  for (const content of ['embed', 'attach'] as const) {
    const file = harFile(t)
    const site = await startPages(t)
    const url = `http://127.0.0.1:${site.port}/`
    const browser = await launch(t)
    const context = await browser.newContext({ recordHar: { path: file, content } })
    t.strictSame(await visit(context, url), EXPECTED)
    await context.close()
    site.server.close()
    const seen = site.seen.length
    t.ok(entriesOf(file).length >= 6)
    const proxy = await startReplayApp(t, '127.0.0.1', file)
    const through = await launch(t, proxy.port)
    t.strictSame(await visit(await through.newContext(), url), EXPECTED, content)
    t.equal(site.seen.length, seen)
  }
})
