import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx, { CertificateAuthority } from '../../plugin/index'
import { Chromium, withoutChromium } from './chromium'
import type { ChromiumOptions, Page } from './chromium'

const DOWNLOAD_PAGE = 'http://fastify-prox/download'

/** What a socket hears. */
const SOCKET = `new Promise((resolve, reject) => {
  const socket = new WebSocket('wss://example.com/socket')
  socket.onopen = () => socket.send('hello')
  socket.onmessage = ({ data }) => resolve(data)
  socket.onerror = () => reject(new Error('the socket failed'))
})`

interface Served {
  readonly app: FastifyInstance
  /** `host:port` */
  readonly proxy: string
  readonly requests: string[]
}

/** @param authority default: one that no browser knows */
async function serve (t: Test, authority?: CertificateAuthority, secure = false): Promise<Served> {
  authority ??= await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await authority.issue('127.0.0.1')
  const options: object = secure ? { http2: true, https: { key, cert, allowHTTP1: true } } : {}
  const app: FastifyInstance = Fastify(options)
  await app.register(fastifyWebsocket)
  await app.register(fastifyProx, { resolver: '/prefix/', ca: authority })
  app.get('/prefix/*', ({ proxy }, reply) => {
    return reply.type('text/html').send(`<!doctype html><title>${proxy?.url}</title>`)
  })
  app.get('/prefix/https://example.com/socket', { websocket: true }, (socket, request) => {
    socket.on('message', (message) => socket.send(`${request.proxy?.url} ${message}`))
  })
  const requests: string[] = []
  app.addHook('onRequest', async ({ method, raw }) => { requests.push(`${method} over ${raw.httpVersion}`) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return { app, proxy: `127.0.0.1:${(app.server.address() as AddressInfo).port}`, requests }
}

async function launch (t: Test, options: ChromiumOptions): Promise<Chromium> {
  const browser = await Chromium.launch(options)
  t.teardown(() => browser.close())
  return browser
}

/** What somebody at the screen reads about trust. */
function status (page: Page): Promise<unknown> {
  return page.evaluate("document.querySelector('[role=status]').innerText")
}

t.test('Chromium', { skip: withoutChromium, timeout: 200_000 }, async (t) => {
  const trusted = await CertificateAuthority.load({ store: new Map() })
  const ca = join(t.testdir(), 'ca.pem')
  await writeFile(ca, trusted.certificatePem)
  const browser = await launch(t, { ca })

  t.test('without the CA', async (t) => {
    const { app, proxy } = await serve(t)
    const page = await browser.page(proxy)

    t.equal(await page.navigate(DOWNLOAD_PAGE), null)
    t.match(await status(page), /^Not trusted yet\./)
    t.match(await page.evaluate('document.title'), app.proxyCA.name)
    t.match(await page.evaluate('document.body.innerText'), app.proxyCA.fingerprint256)

    t.equal(await page.navigate('https://example.com/'), 'net::ERR_CERT_AUTHORITY_INVALID')
  })

  t.test('with the CA', async (t) => {
    const { proxy } = await serve(t, trusted)
    const page = await browser.page(proxy)

    t.equal(await page.navigate(DOWNLOAD_PAGE), null)
    t.match(await status(page), /^Trusted by this browser\./)

    t.equal(await page.navigate('https://fastify-prox/download'), null)
    t.match(await status(page), /^Trusted by this browser if it opened this page without a warning/)

    t.equal(await page.navigate('https://example.com/a?b'), null)
    t.equal(await page.evaluate('document.title'), 'https://example.com/a?b')
    t.equal(await page.evaluate(SOCKET), 'https://example.com/socket hello')
  })

  t.test('by TLS and HTTP/2 to the proxy', async (t) => {
    const { proxy, requests } = await serve(t, trusted, true)
    const page = await browser.page(`https://${proxy}`)

    t.equal(await page.navigate('https://example.com/a?b'), null)
    t.equal(await page.evaluate('document.title'), 'https://example.com/a?b')
    // A name that Chromium does not try with https: first.
    t.equal(await page.navigate('http://intranet/a?b'), null)
    t.equal(await page.evaluate('document.title'), 'http://intranet/a?b', 'which needs no tunnel')
    await page.navigate('https://example.com/a?b')
    t.equal(await page.evaluate(SOCKET), 'https://example.com/socket hello')
    t.ok(requests.includes('CONNECT over 2.0'), requests.join(', '))
  })

  t.test('the page fits a phone, in the dark too, with every section open', async (t) => {
    const { proxy } = await serve(t)
    const page = await browser.page(proxy)
    const phone = { width: 360, height: 740, deviceScaleFactor: 2, mobile: true }
    await page.send('Emulation.setDeviceMetricsOverride', phone)
    await page.navigate(DOWNLOAD_PAGE)
    const background = 'getComputedStyle(document.body).backgroundColor'
    const light = await page.evaluate(background)
    await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
    await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'dark' }] })
    t.not(await page.evaluate(background), light)
  })

  t.test('without the proxy', async (t) => {
    const { proxy } = await serve(t)
    const page = await browser.page('direct://')
    t.equal(await page.navigate(`http://${proxy}/download`), null)
    t.equal(await page.evaluate("document.querySelector('h1').innerText"), 'This is a proxy, and you asked it directly')
    t.match(await page.evaluate('document.body.innerText'), `http://${proxy}/proxy.pac`)
  })

  t.test('reads the profile as XML', async (t) => {
    const { app, proxy } = await serve(t)
    const page = await browser.page(proxy)
    await page.navigate('http://fastify-prox/download/trusted.css')
    const profile = await page.evaluate(`fetch('/download/mobileconfig').then((it) => it.text()).then((text) => {
      const document = new DOMParser().parseFromString(text, 'application/xml')
      return [document.documentElement.localName, document.querySelector('data').textContent]
    })`)
    t.strictSame(profile, ['plist', app.proxyCA.certificateDer.toString('base64')])
  })

  t.test('finds the proxy by the PAC file, which it asks for directly', async (t) => {
    const { proxy } = await serve(t, trusted)
    const page = await (await launch(t, { pac: `http://${proxy}/proxy.pac`, ca })).page()
    t.equal(await page.navigate('https://example.com/'), null)
    t.equal(await page.evaluate('document.title'), 'https://example.com/')
  })
})
