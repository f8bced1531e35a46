import t from 'tap'
import { Chromium, withoutChromium } from './chromium'
import { drive } from './clients'

// A browser takes its time on a busy machine.
t.setTimeout(180_000)

drive(t, {
  name: 'Chromium',
  version: withoutChromium === false ? ['chromium', '--version'] : ['false'],
  from: 'Debian: chromium, libnss3-tools',
  schemes: ['http', 'https', 'ws', 'wss'],
  keepAlive: ['http', 'https'],
  run: async (proxy, urls) => {
    const browser = await Chromium.launch({ proxy: `127.0.0.1:${proxy.port}`, ca: proxy.ca })
    try {
      const page = await browser.page()
      const answers: unknown[] = []
      for (const url of urls) {
        if (url.startsWith('ws')) {
          // From a page of no origin: one that came by https may not open what is not secure.
          await page.navigate('about:blank')
          answers.push(await page.evaluate(`new Promise((resolve, reject) => {
            const socket = new WebSocket(${JSON.stringify(url)})
            socket.onopen = () => socket.send('hello')
            socket.onmessage = ({ data }) => resolve(data)
            socket.onerror = () => reject(new Error('the socket failed'))
          })`))
        } else {
          await page.navigate(url)
          answers.push(await page.evaluate('document.body.innerText'))
        }
      }
      return answers.join('\n')
    } finally {
      await browser.close()
    }
  }
})
