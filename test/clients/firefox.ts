/** Drives a headless Firefox ESR by WebDriver BiDi; its profile knows the proxy and trusts the CA. */
import { join } from 'node:path'
import puppeteer from 'puppeteer-core'
import type { Browser } from 'puppeteer-core'
import { makeDatabase, makeHome, missing } from './chromium'

/** Why tests with Firefox cannot run here, or `false`: what tap takes as `skip`. */
export const withoutFirefox = missing(['firefox-esr', 'firefox-esr'], ['certutil', 'libnss3-tools'])

export interface FirefoxOptions {
  readonly host: string
  readonly port: number
  /** Name of a PEM file: a CA that Firefox trusts. */
  readonly ca: string
}

export async function launchFirefox (
  { host, port, ca }: FirefoxOptions
): Promise<{ browser: Browser, close: () => Promise<void> }> {
  const home = await makeHome(undefined)
  const profile = join(home.directory, 'profile')
  await makeDatabase(profile, ca)
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: '/usr/bin/firefox-esr',
    userDataDir: profile,
    env: home.env,
    extraPrefsFirefox: {
      'network.proxy.type': 1,
      'network.proxy.http': host,
      'network.proxy.http_port': port,
      'network.proxy.ssl': host,
      'network.proxy.ssl_port': port
    }
  })
  return {
    browser,
    async close () {
      await browser.close()
      await home.remove()
    }
  }
}
