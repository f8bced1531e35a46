/** Browsers of all three engines, and what drives them in tests. */
import t from 'tap'
import { chromium } from 'playwright-core'
import type { Browser as PlaywrightBrowser } from 'playwright-core'
import puppeteer from 'puppeteer-core'
import type { Browser as PuppeteerBrowser } from 'puppeteer-core'
import { CHROMIUM, makeHome, withoutChromium } from './chromium'
import { drive } from './clients'
import type { Client, ClientProxy } from './clients'
import { launchFirefox, withoutFirefox } from './firefox'
import { WebKit, withoutWebKit } from './webkit'

// A browser takes its time on a busy machine.
t.setTimeout(180_000)

/** A tab of a browser. */
interface Tab {
  goto (url: string): Promise<unknown>
  /** The value of an expression; a promise is awaited. */
  evaluate (expression: string): Promise<unknown>
}

interface Browser {
  newPage (): Promise<Tab>
  close (): Promise<void>
}

async function visitAndClose (browser: Browser, urls: readonly string[]): Promise<string> {
  try {
    return await visit(await browser.newPage(), urls)
  } finally {
    await browser.close()
  }
}

/** Sets a cookie, posts 300 kB from the page, and gives what the server has got of both. */
const POST = `(() => {
  document.cookie = 'seen=yes'
  const headers = { 'content-type': 'text/plain' }
  return fetch('/posted', { method: 'POST', headers, body: 'é'.repeat(150_000) }).then((response) => response.text())
})()`

/** Opens every URL in a tab, or says hello to its WebSocket, and resolves with what came back. */
async function visit (tab: Tab, urls: readonly string[]): Promise<string> {
  const answers: unknown[] = []
  for (const url of urls) {
    if (url.startsWith('ws')) {
      // From a page of no origin: one that came by https may not open what is not secure.
      await tab.goto('about:blank')
      answers.push(await tab.evaluate(`new Promise((resolve, reject) => {
        const socket = new WebSocket(${JSON.stringify(url)})
        socket.onopen = () => socket.send('hello')
        socket.onmessage = ({ data }) => resolve(data)
        socket.onerror = () => reject(new Error('the socket failed'))
      })`))
    } else {
      await tab.goto(url)
      answers.push(await tab.evaluate('document.body.innerText'))
      const posted = await tab.evaluate(POST)
      if (posted !== '300000 bytes, seen=yes') throw new Error(`The server has got ${String(posted)}`)
    }
  }
  return answers.join('\n')
}

/** What all browsers have in common. */
const BROWSER = { schemes: ['http', 'https', 'ws', 'wss'], keepAlive: ['http', 'https'] } as const

function version (without: string | false, command: Client['version']): Client['version'] {
  return without === false ? command : ['false']
}

/** Runs `use` with a home directory whose NSS databases trust the CA. */
async function atHome (proxy: ClientProxy, use: (env: NodeJS.ProcessEnv) => Promise<string>): Promise<string> {
  const { env, remove } = await makeHome(proxy.ca)
  try {
    return await use(env)
  } finally {
    await remove()
  }
}

drive(t, {
  ...BROWSER,
  name: 'Chromium, by Playwright',
  version: version(withoutChromium, ['chromium', '--version']),
  from: 'npm: playwright-core; Debian: chromium, libnss3-tools',
  run: (proxy, urls) => atHome(proxy, async (env) => {
    const browser: PlaywrightBrowser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox'],
      env: env as Record<string, string>,
      proxy: { server: `127.0.0.1:${proxy.port}` }
    })
    return await visitAndClose(browser, urls)
  })
})

drive(t, {
  ...BROWSER,
  name: 'Chromium, by Puppeteer',
  version: version(withoutChromium, ['chromium', '--version']),
  from: 'npm: puppeteer-core; Debian: chromium, libnss3-tools',
  run: (proxy, urls) => atHome(proxy, async (env) => {
    const args = ['--no-sandbox', `--proxy-server=127.0.0.1:${proxy.port}`]
    const browser: PuppeteerBrowser = await puppeteer.launch({ executablePath: CHROMIUM, args, env })
    return await visitAndClose(browser, urls)
  })
})

drive(t, {
  ...BROWSER,
  name: 'Firefox ESR',
  version: version(withoutFirefox, ['firefox-esr', '--version']),
  from: 'Debian: firefox-esr, libnss3-tools; npm: puppeteer-core',
  run: async (proxy, urls) => {
    const { browser, close } = await launchFirefox({ host: '127.0.0.1', port: proxy.port, ca: proxy.ca })
    try {
      return await visit(await browser.newPage(), urls)
    } finally {
      await close()
    }
  }
})

drive(t, {
  ...BROWSER,
  name: 'WebKitGTK',
  // Neither the driver nor the browser tells its version.
  version: version(withoutWebKit, ['dpkg-query', '--show', 'webkit2gtk-driver']),
  from: 'Debian: webkit2gtk-driver, xvfb; and the right to mount',
  run: async (proxy, urls) => {
    const browser = await WebKit.launch({ proxy: `127.0.0.1:${proxy.port}`, ca: proxy.ca })
    try {
      return await visit(browser, urls)
    } finally {
      await browser.close()
    }
  }
})
