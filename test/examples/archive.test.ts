/** The example records what Chromium sees of a site, and shows the same when the site is gone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Test } from 'tap'
import { Chromium, withoutChromium } from '../clients/chromium'
import { recordsIn } from '../warc/support'
import { environment, examplePath, startExample } from './example'

async function startSite (t: Test): Promise<{ url: string, stop: () => Promise<unknown> }> {
  const site = spawn(process.execPath, [join(examplePath('archive'), 'site.mjs')], {
    env: environment({ PORT: '0' }), stdio: ['ignore', 'pipe', 'inherit']
  })
  const exit = once(site, 'exit')
  const stop = async (): Promise<unknown> => {
    site.kill()
    return await exit
  }
  t.teardown(stop)
  const [line] = await once(createInterface(site.stdout), 'line') as [string]
  return { url: line.replace(/^Site: +/, ''), stop }
}

/** What the page looks like, and its title, when everything on it has come. */
async function look (t: Test, port: number, url: string): Promise<{ title: string, picture: string }> {
  const browser = await Chromium.launch({
    proxy: `localhost:${port}`, flags: ['--proxy-bypass-list=<-loopback>', '--window-size=800,800']
  })
  t.teardown(() => browser.close())
  const page = await browser.page()
  t.equal(await page.navigate(url), null)
  const title = await page.evaluate(`new Promise((resolve) => {
    const look = () => document.title.startsWith('ready') ? resolve(document.title) : setTimeout(look, 20)
    look()
  })`) as string
  const shown = await page.evaluate(`[...document.images].every((each) => each.naturalWidth > 0) &&
    document.fonts.check('40px Shapes', 'ABC') && document.querySelector('video').videoWidth`)
  t.equal(shown, 96, 'pictures, font and video are there')
  const { data } = await page.send('Page.captureScreenshot')
  await browser.close()
  return { title, picture: data as string }
}

t.test('the page is the same when the site is gone', { skip: withoutChromium, timeout: 120_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-archive-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const site = await startSite(t)
  const recording = await startExample(t, 'archive', { WARC: 'record', ALLOW: '127.0.0.1', ARCHIVE: directory })
  const before = await look(t, recording.port, site.url)
  t.equal(before.title, 'ready, live')
  t.equal(await recording.stop(), 0)
  await site.stop()
  const recorded = (await recordsIn(directory)).map(({ fields }) => fields['warc-target-uri'])
  const urls = recorded.filter((uri) => uri?.startsWith(site.url)).map((uri) => uri!.slice(site.url.length))
  for (const name of ['', 'clip.webm', 'moved/picture.png', 'shapes.ttf']) t.ok(urls.includes(name), name)
  t.match(readdirSync(directory), [/^example-.*\.warc\.gz$/])

  const replaying = await startExample(t, 'archive', { ARCHIVE: directory })
  const after = await look(t, replaying.port, site.url)
  t.equal(after.title, 'ready, not live', 'WebSockets are not recorded')
  t.ok(after.picture === before.picture, 'the screenshots are the same')
})
