/** Which platform a visitor uses, by what browsers really send. */
import t from 'tap'
import { isMobile, platformOf } from '../../plugin/download/platform'

const CHROME = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'
const SAFARI = 'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/604.1'

t.test('the platform by the request', async (t) => {
  const table: Array<[platform: ReturnType<typeof platformOf>, agent: string | undefined, hint?: string]> = [
    ['macos', `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${SAFARI}`],
    ['macos', 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0'],
    ['macos', undefined, '"macOS"'],
    ['windows', `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Edg/126.0.0.0`],
    ['windows', 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0', '"Windows"'],
    ['ios', `Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) ${SAFARI}`],
    ['ios', `Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) ${SAFARI}`],
    ['ios', undefined, '"iOS"'],
    ['android', `Mozilla/5.0 (Linux; Android 10; K) ${CHROME}`],
    ['android', 'Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0'],
    ['firefox', 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0'],
    ['chromium', `Mozilla/5.0 (X11; Linux x86_64) ${CHROME}`],
    ['chromium', `Mozilla/5.0 (X11; Linux x86_64) ${CHROME}`, '"Linux"'],
    ['chromium', `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${CHROME}`],
    ['chromium', undefined, '"Chrome OS"'],
    ['linux', `Mozilla/5.0 (X11; Linux x86_64) ${SAFARI}`],
    ['linux', undefined, '"Linux"'],
    ['android', `Mozilla/5.0 (X11; Linux x86_64) ${CHROME}`, '"Android"'],
    ['windows', `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME}`, '"Unknown"'],
    [null, 'curl/8.9.1'],
    [null, ''],
    [null, undefined],
    [null, 'Linuxoid Androids Macintoshes']
  ]
  for (const [platform, agent, hint] of table) {
    t.equal(platformOf({ 'user-agent': agent, 'sec-ch-ua-platform': hint }), platform, `${hint} ${agent}`)
    t.equal(isMobile(platform), platform === 'ios' || platform === 'android')
  }
})
