/** What the pages are made of: the document around them, lines to copy, rows that unfold, and what they may load. */
import { COPY_SCRIPT } from './copy'
import { STYLE } from './style'
import { Markup, markup, sourceHash } from './text'

/**
 * The Content-Security-Policy of the pages: their own style and script, at most one style sheet of the download host,
 * and nothing else.
 */
export function contentSecurityPolicy (stylesheet = ''): string {
  return [
    "default-src 'none'",
    `script-src ${sourceHash(COPY_SCRIPT)}`,
    `style-src ${sourceHash(STYLE)} ${stylesheet}`.trim(),
    'img-src data:', // the empty icon, in place of a request for /favicon.ico
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join('; ')
}

export function layout (title: string, body: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<style>${new Markup(STYLE)}</style>
</head>
<body>
${body}
<script>${new Markup(COPY_SCRIPT)}</script>
</body>
</html>
`.toString()
}

/**
 * Lines to copy: a click selects them all, and with JavaScript there is a button. What a narrow window wraps is set in,
 * and wraps between words, where a browser would also do so after any hyphen.
 */
export function lines (...commands: string[]): Markup {
  const words = (command: string): Markup[] =>
    command.split(' ').map((word, i) => markup`${i === 0 ? '' : ' '}<i>${word}</i>`)
  return markup`<pre><code>${commands.map((command) => markup`<span>${words(command)}\n</span>`)}</code></pre>`
}

/** A row that unfolds. */
export function row (summary: string, body: Markup, open = false): Markup {
  return markup`<details${open ? ' open' : ''}>
<summary>${summary}</summary>
<div>
${body}
</div>
</details>
`
}
