/** QR codes (ISO/IEC 18004) as inline SVG. */
import { encode } from 'uqr'
import type { Markup } from './text'
import { markup } from './text'

/** Modules around the code that have to stay light. */
const QUIET_ZONE = 4

/** @param label says in words what the code does */
export function qrCode (text: string, label: string): Markup {
  const { size, data } = encode(text, { ecc: 'M', border: QUIET_ZONE })
  const path = data.flatMap((modules, y) => modules.map((dark, x) => dark ? `M${x} ${y}h1v1h-1z` : '')).join('')
  const box = `0 0 ${size} ${size}`
  return markup`<svg class="qr" viewBox="${box}" shape-rendering="crispEdges" role="img" aria-label="${label}">
<path d="${path}"/></svg>`
}
