/** The look of the pages: one style sheet, inline. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --surface: #ffffff; --text: #1d2126; --muted: #59616b; --line: #dfe1e5;
  --code: #f2f3f5; --accent: #1b5bb8; --good: #176b3f; --good-page: #eaf6ef; --wait: #855300; --wait-page: #fdf5e3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131518; --surface: #1a1d21; --text: #e4e7ea; --muted: #a0a8b2; --line: #30353b;
    --code: #22262b; --accent: #8ab6ff; --good: #6fd39c; --good-page: #15271d; --wait: #e7bd62; --wait-page: #2a2213;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 46rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  overflow-wrap: break-word;
}
h1 {
  margin: 0 0 .5rem; font-size: 1.75rem; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; text-wrap: balance;
}
h2 { margin: 2.75rem 0 .5rem; font-size: 1.2rem; line-height: 1.3; font-weight: 650; }
p { margin: 0 0 .75rem; }
a { color: var(--accent); text-underline-offset: .15em; }
ol, ul { margin: 0 0 .75rem; padding-left: 1.35rem; }
li { margin: .15rem 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.lead { color: var(--muted); }
code {
  font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere;
}
.fingerprint { display: inline-block; max-width: 48ch; font-size: .8125rem; overflow-wrap: normal; }
pre {
  margin: .5rem 0 .75rem; padding: .6rem .8rem; border-radius: .4rem; font: inherit;
  background: var(--code); white-space: pre-wrap; display: flex; gap: .6rem; align-items: flex-start;
}
pre button {
  flex: none; margin: -.2rem -.35rem -.2rem 0; padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .3rem;
  background: var(--surface); color: var(--muted); font: inherit; font-size: .8125rem; cursor: pointer;
}
pre button:hover { color: var(--accent); border-color: var(--accent); }
pre code { display: block; flex: 1; min-width: 0; font-size: .8125rem; user-select: all; -webkit-user-select: all; }
pre span { display: block; padding-left: 2ch; text-indent: -2ch; }
pre i { display: inline-block; max-width: 100%; font-style: normal; text-indent: 0; vertical-align: top; }
.status { margin: 1.5rem 0; padding: .8rem 1rem .8rem 2.6rem; border-radius: .5rem; position: relative; }
.status p { margin: 0; }
.status p::before { position: absolute; left: 1rem; font-weight: 700; }
.wait { background: var(--wait-page); }
.wait b { color: var(--wait); }
.wait p::before { content: "\\25cb" / ""; color: var(--wait); }
.good { background: var(--good-page); }
.good b { color: var(--good); }
.good p::before { content: "\\2713" / ""; color: var(--good); }
.probe .good { display: none; }
.note { display: block; color: var(--muted); font-size: .875rem; }
.button {
  display: flex; flex-wrap: wrap; gap: 0 .6rem; padding: .6rem 1.1rem; border-radius: .5rem;
  background: var(--accent); color: var(--page); font-weight: 600; text-decoration: none;
}
.button:hover { filter: brightness(1.1); }
.button span { font-weight: 400; }
.take { display: flex; flex-wrap: wrap; align-items: center; gap: 0 1rem; }
.other { padding: .6rem 0; }
.devices { display: flex; gap: 1.25rem; align-items: center; }
.devices p { margin: 0; min-width: 0; }
.qr { flex: none; width: 9rem; height: 9rem; background: #ffffff; fill: #000000; border-radius: .3rem; }
.folded > summary { padding-left: 0; color: var(--accent); }
dl {
  margin: 0; padding: .3rem 1.1rem; background: var(--surface); border: 1px solid var(--line); border-radius: .5rem;
}
dl div { display: grid; grid-template-columns: 10.5rem 1fr; gap: 0 1rem; padding: .55rem 0; }
dl div + div { border-top: 1px solid var(--line); }
dt { color: var(--muted); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.files {
  list-style: none; margin: .75rem 0 1rem; padding: 0;
  display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem;
}
.files li { margin: 0; display: grid; }
.files a {
  padding: .7rem .9rem .75rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--surface); color: var(--text); text-decoration: none; line-height: 1.4;
}
.files a:hover { border-color: var(--accent); }
.files b { display: block; color: var(--accent); font-weight: 600; }
.files span { color: var(--muted); font-size: .875rem; }
.rows { background: var(--surface); border: 1px solid var(--line); border-radius: .5rem; }
details + details { border-top: 1px solid var(--line); }
summary { padding: .6rem 1.1rem; font-weight: 500; cursor: pointer; border-radius: .5rem; }
summary::marker { color: var(--muted); }
details > div { padding: .1rem 1.1rem .5rem; }
details h3 { margin: .9rem 0 .25rem; font-size: .875rem; font-weight: 650; color: var(--muted); }
details[open] > summary { padding-bottom: .35rem; }
footer { margin-top: 3rem; color: var(--muted); font-size: .875rem; }
@media (max-width: 40rem) {
  body { padding: 1.75rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  dl div { grid-template-columns: 1fr; }
  .files { grid-template-columns: 1fr 1fr; }
  .devices { flex-direction: column; align-items: flex-start; gap: .75rem; }
  pre { flex-direction: column; align-items: stretch; gap: .2rem; }
  pre button { align-self: flex-end; margin: 0 -.35rem -.2rem 0; }
}
@media print { details > div { display: block; } }
`

/**
 * The page asks for this style sheet by https. A browser loads it if, and only if, it takes the certificate: so
 * this file's arrival, without any script, turns the page's answer.
 */
export const TRUSTED_STYLE = '.probe .wait { display: none; }\n.probe .good { display: block; }\n'
