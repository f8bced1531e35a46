/** Which browser or system a visitor of the page uses, as far as its request tells. */
import type { IncomingHttpHeaders } from 'node:http'

/** Where a certificate is installed: in a system, or in a browser that has a list of its own. */
export type Platform = 'macos' | 'windows' | 'linux' | 'ios' | 'android' | 'firefox' | 'chromium'

/** In order: what runs on Android says that it runs on Linux, too. */
const SYSTEMS: ReadonlyArray<readonly [pattern: RegExp, platform: Platform]> = [
  [/\biP(?:hone|ad|od)\b|^iOS$/, 'ios'],
  [/\bAndroid\b/, 'android'],
  [/\bWindows\b/, 'windows'],
  [/\bMac(?:intosh|OS)\b|\bmacOS\b/, 'macos'],
  [/\bCrOS\b|\bChrom(?:e|ium) OS\b/, 'chromium'],
  [/\bLinux\b|\bX11\b/, 'linux']
]

/**
 * Tells the platform by `Sec-CH-UA-Platform`, which Chromium sends over https, or by `User-Agent`. On Linux it is the
 * browser, since browsers there do not follow the system.
 * @returns `null` when neither says it
 */
export function platformOf (headers: IncomingHttpHeaders): Platform | null {
  const agent = headers['user-agent'] ?? ''
  const hint = String(headers['sec-ch-ua-platform'] ?? '').replaceAll('"', '')
  const system = systemOf(hint) ?? systemOf(agent)
  if (system !== 'linux') return system
  if (/\bFirefox\//.test(agent)) return 'firefox'
  return /\bChrom(?:e|ium)\//.test(agent) ? 'chromium' : 'linux'
}

/** Whether people use the platform on a device without a shell. */
export function isMobile (platform: Platform | null): boolean {
  return platform === 'ios' || platform === 'android'
}

function systemOf (text: string): Platform | null {
  return SYSTEMS.find(([pattern]) => pattern.test(text))?.[1] ?? null
}
