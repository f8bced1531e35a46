/** Keys of URLs in indexes: "Sort-friendly URI Reordering Transform", as pywb's indexes have it. */

/** Hosts reversed, without `www.`; everything in lower case; the query sorted; no scheme. */
export function surt (url: string): string {
  if (!/^https?:/i.test(url)) return url
  const plain = url.toLowerCase().replace(/^(https?:\/\/)www\d*\./, '$1')
  if (!URL.canParse(plain)) return url
  const { hostname, port, pathname, search } = new URL(plain)
  const query = search === '' ? '' : `?${search.slice(1).split('&').sort().join('&')}`
  return `${hostKey(hostname, port)}${pathname}${query}`
}

/** What the keys of a host begin with. */
export function surtOfHost (url: string): string {
  const key = surt(url)
  return key.slice(0, key.indexOf(')') + 1)
}

/** Under which a URL may be listed by others: they leave out the last slash of a path. */
export function keysOf (url: string): string[] {
  const key = surt(url)
  const [path, query] = splitQuery(key)
  const isLonger = path.endsWith('/') && !path.endsWith(')/')
  return isLonger ? [key, `${path.slice(0, -1)}${query}`] : [key]
}

/** The part before the query, and the query with its `?`. */
export function splitQuery (key: string): [path: string, query: string] {
  const mark = key.indexOf('?')
  return mark === -1 ? [key, ''] : [key.slice(0, mark), key.slice(mark)]
}

function hostKey (hostname: string, port: string): string {
  return `${hostname.split('.').reverse().join(',')}${port === '' ? '' : `:${port}`})`
}
