/** The download page and the notice: what a visitor finds first, and, in Chromium, that everybody can use them. */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type { ProxyAddress } from '../../plugin/download/address'
import { downloadApp } from '../../plugin/download/app'
import { noticePage } from '../../plugin/download/notice'
import { certificatePage } from '../../plugin/download/page'
import type { CertificatePageOptions } from '../../plugin/download/page'
import { platformOf } from '../../plugin/download/platform'
import { sendPage } from '../../plugin/download/send'
import fastifyProx from '../../plugin/index'
import { Chromium, withoutChromium } from '../clients/chromium'
import type { Page } from '../clients/chromium'

// A browser takes its time on a busy machine.
t.setTimeout(180_000)

const STYLESHEET = 'https://fastify-prox/download/trusted.css'
const PROXY: ProxyAddress = {
  scheme: 'http', hostname: '192.0.2.7', port: 8080, authority: '192.0.2.7:8080', url: 'http://192.0.2.7:8080'
}
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1'

async function makePage (options: Partial<CertificatePageOptions> = {}): Promise<string> {
  return certificatePage({
    ca: await CertificateAuthority.load({ store: new Map() }),
    host: 'fastify-prox',
    proxy: PROXY,
    platform: null,
    username: null,
    keyHash: 'aGFzaA==',
    secure: false,
    stylesheet: STYLESHEET,
    ...options
  })
}

t.test('the visitor\'s platform comes first and open, with its file, and all others follow', async (t) => {
  const platforms = {
    macos: ['macOS', 'pem'],
    windows: ['Windows', 'cer'],
    linux: ['Linux', 'pem'],
    ios: ['iPhone and iPad', 'mobileconfig'],
    android: ['Android', 'cer'],
    firefox: ['Firefox', 'pem'],
    chromium: ['Chromium and Chrome', 'pem']
  } as const
  const names = Object.values(platforms).map(([name]) => name).sort()
  for (const [platform, [name, file]] of Object.entries(platforms)) {
    const page = await makePage({ platform: platform as keyof typeof platforms })
    t.match(page, `<a class="button" href="/download/${file}">Download for ${name} `)
    const rows = page.slice(page.indexOf('id="install"'), page.indexOf('id="certificate"'))
    const summaries = [...rows.matchAll(/<summary>(.*?)<\/summary>/g)].map((match) => match[1])
    t.equal(summaries[0], name)
    t.strictSame(summaries.sort(), names)
    t.match(rows, `<details open>\n<summary>${name}<`)
    t.equal(rows.split('<details open>').length, 2)
  }
  const unknown = await makePage()
  t.match(unknown, '<a class="button" href="/download/pem">Download for most systems ')
  t.notMatch(unknown, '<details open>')
})

t.test('who is not trusted yet is led to the certificate', async (t) => {
  t.match(await makePage(), /<b>Not trusted yet\.<\/b>[^<]*<a href="#install">/)
  t.match(await makePage(), '<h2 id="install">')
  t.notMatch(await makePage({ secure: true }), 'Not trusted yet')
})

t.test('the lines for shells are folded on a phone alone', async (t) => {
  for (const platform of ['ios', 'android'] as const) {
    t.match(await makePage({ platform }), '<details class="folded">\n<summary>Lines for the shell of a computer')
  }
  t.notMatch(await makePage({ platform: 'linux' }), 'class="folded"')
})

t.test('a code for a phone, where one may reach the proxy', async (t) => {
  const label = 'aria-label="QR code of http://192.0.2.7:8080/download"'
  t.match(await makePage(), label)
  t.match(await makePage({ username: 'user' }), label, 'without credentials')
  t.notMatch(await makePage({ platform: 'android' }), 'QR code', 'a phone is there already')
  for (const hostname of ['127.0.0.1', '::1', 'localhost', 'PROXY']) {
    t.notMatch(await makePage({ proxy: { ...PROXY, hostname } }), 'QR code', hostname)
  }
})

t.test('Chromium gets the hash of the key, when there is one', async (t) => {
  const line = (page: string): string => page.replaceAll(/<\/?i>/g, '')
  t.match(line(await makePage()), '--ignore-certificate-errors-spki-list=aGFzaA==\n')
  t.notMatch(await makePage({ keyHash: null }), 'spki-list')

  const ca = await CertificateAuthority.load({ store: new Map(), permit: ['.test'] })
  const app = Fastify()
  app.decorateRequest('proxy', null)
  app.register(downloadApp({ ca, host: 'fastify-prox' }))
  t.teardown(() => app.close())
  const { statusCode, body } = await app.inject('/download')
  t.equal(statusCode, 200)
  t.notMatch(body, 'spki-list', 'a CA that may not name the host')
})

/** The pages as they are served, for a browser of this machine. */
async function serve (t: Test): Promise<string> {
  const app = Fastify()
  const ca = await CertificateAuthority.load({ store: new Map() })
  const page = (options: Partial<CertificatePageOptions>): Promise<string> => makePage({ ca, ...options })
  app.get('/download', async ({ headers }, reply) =>
    sendPage(reply, await page({ platform: platformOf(headers) }), STYLESHEET))
  app.get('/trusted', async (_request, reply) => sendPage(reply, await page({ secure: true, username: 'user' })))
  app.get('/notice', (_request, reply) => sendPage(reply, noticePage({ host: 'fastify-prox', proxy: PROXY })))
  return await listen(t, app)
}

async function listen (t: Test, app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return `127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** A proxy that answers every URL with itself. */
async function makeProxy (t: Test, leafKeyType: 'ec' | 'rsa'): Promise<{ app: FastifyInstance, address: string }> {
  const app = Fastify()
  await app.register(fastifyProx, { ca: { store: new Map(), leafKeyType } })
  app.get('/*', async ({ proxy }) => proxy?.url)
  return { app, address: await listen(t, app) }
}

const PATHS = ['/download', '/trusted', '/notice']
const OPEN_ALL = "for (const details of document.querySelectorAll('details')) details.open = true"

async function phone (page: Page): Promise<void> {
  await page.send('Emulation.setDeviceMetricsOverride', { width: 390, height: 664, deviceScaleFactor: 2, mobile: true })
  await page.send('Emulation.setUserAgentOverride', { userAgent: IPHONE })
}

async function paint (page: Page, scheme: 'light' | 'dark'): Promise<void> {
  await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
}

// One browser for all: to start it takes longer than most of these tests.
t.test('in Chromium', { skip: withoutChromium }, async (t) => {
  const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')
  const server = await serve(t)
  const proxy = await makeProxy(t, 'ec')
  const { body } = await proxy.app.injectProxy('http://fastify-prox/download')
  const flags = /--ignore-certificate-errors-spki-list=[\w+/=]+/.exec(body.replaceAll(/<\/?i>/g, ''))
  const browser = await Chromium.launch({ flags: flags ?? [] })
  t.teardown(() => browser.close())

  // A colour depends on the scheme alone and a place on the device alone, so two of the four pairs show all of both.
  t.test('axe-core has no finding, on a screen and a phone, in light and dark', async (t) => {
    const page = await browser.page()
    for (const scheme of ['light', 'dark'] as const) {
      await paint(page, scheme)
      if (scheme === 'dark') await phone(page)
      for (const path of PATHS) {
        await page.navigate(`http://${server}${path}`)
        await page.evaluate(OPEN_ALL)
        await page.evaluate(`${axe}; null`)
        const { findings, passed } = await page.evaluate(`axe.run().then(({ violations, incomplete, passes }) => ({
          findings: [...violations, ...incomplete]
            .map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)].join(' ')),
          passed: passes.length
        }))`) as { findings: string[], passed: number }
        t.strictSame(findings, [], `${path}, ${scheme}`)
        t.ok(passed > 10, 'there was something to find')
      }
    }
  })

  t.test('a phone shows the button on its first screen, and nothing is wider than it', async (t) => {
    const page = await browser.page()
    await phone(page)
    for (const path of ['/notice', '/trusted', '/download']) {
      await page.navigate(`http://${server}${path}`)
      await page.evaluate(OPEN_ALL)
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, path)
    }
    const bottom = await page.evaluate("document.querySelector('.button').getBoundingClientRect().bottom")
    t.ok(Number(bottom) < 664, String(bottom))
    t.equal(await page.evaluate("document.querySelector('.button').pathname"), '/download/mobileconfig')
  })

  t.test('the fingerprint stands in two lines of 16 bytes, and is copied as one', async (t) => {
    const page = await browser.page()
    await page.navigate(`http://${server}/download`)
    const code = "document.querySelector('.fingerprint')"
    t.equal(await page.evaluate(`${code}.offsetHeight / parseFloat(getComputedStyle(${code}).lineHeight)`), 2)
    t.match(await page.evaluate(`${code}.innerText`), /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  })

  t.test('a button copies the lines, and without JavaScript there is none', async (t) => {
    const page = await browser.page()
    /** Presses the last button as a user does, and resolves with what it then says. */
    const copy = async (): Promise<unknown> => {
      const params = {
        awaitPromise: true,
        returnByValue: true,
        userGesture: true,
        expression: `new Promise((resolve) => {
          const button = document.querySelectorAll('pre button')[2]
          new MutationObserver(() => resolve(button.textContent)).observe(button, { childList: true })
          button.click()
        })`
      }
      const { result } = await page.send('Runtime.evaluate', params)
      return (result as { value: unknown }).value
    }
    const line = 'curl -x http://192.0.2.7:8080 -o fastify-prox-ca.pem http://fastify-prox/download/pem'
    await page.navigate(`http://${server}/notice`)
    await page.evaluate('navigator.clipboard.writeText = async (text) => { copied = text }')
    t.equal(await copy(), 'Copied')
    t.equal(await page.evaluate('copied'), line)

    // The clipboard of `navigator` is not there for every page, and may be refused.
    await page.navigate(`http://${server}/notice`)
    await page.evaluate("navigator.clipboard.writeText = async () => { throw new Error('refused') }")
    await page.evaluate(`copied = null
      addEventListener('copy', ({ clipboardData }) => { copied = clipboardData.getData('text/plain') })`)
    t.equal(await copy(), 'Copied')
    t.equal(await page.evaluate('copied'), line)

    await page.evaluate('document.execCommand = () => false')
    await page.evaluate("document.querySelectorAll('pre button')[2].textContent = 'Copy'")
    t.equal(await copy(), 'Select the lines and copy them')

    await page.send('Emulation.setScriptExecutionDisabled', { value: true })
    await page.navigate(`http://${server}/notice`)
    t.equal(await page.evaluate("document.querySelectorAll('pre').length"), 3)
    t.equal(await page.evaluate("document.querySelectorAll('pre button').length"), 0)
  })

  t.test('the switch with the hash has it take the certificates of the proxy, and of no other key', async (t) => {
    const other = await makeProxy(t, 'rsa')
    const refused = await browser.page(other.address)
    t.equal(await refused.navigate('https://example.com/'), 'net::ERR_CERT_AUTHORITY_INVALID')
    const page = await browser.page(proxy.address)
    t.equal(await page.navigate('https://example.com/'), null)
    t.equal(await page.evaluate('document.body.innerText'), 'https://example.com/')
  })
})
