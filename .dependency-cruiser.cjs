/**
 * What may import what, types included. In words: plugin -> server -> {routing, tunnel} -> {compat, http}; tunnel and
 * forward -> net; ca, download and clients stand beside them; types, errors and option rules are at the bottom; there
 * is no circle.
 */

const BOTTOM = ['types/', 'plugin/errors/', 'plugin/option-rules.ts']

/** For each folder or file, what it may import besides itself. */
const ARROWS = {
  'types/': [],
  'plugin/errors/': ['types/'],
  'plugin/option-rules.ts': ['types/', 'plugin/errors/'],
  // Lists of addresses, here and in the server.
  'plugin/options.ts': [...BOTTOM, 'net/address-list.ts', 'plugin/compat/', 'plugin/routing/', 'plugin/ca/'],
  'plugin/http/': BOTTOM,
  'plugin/compat/': [...BOTTOM, 'plugin/http/'],
  // One grammar for the hosts of URLs and of certificates.
  'plugin/ca/': [...BOTTOM, 'plugin/http/host.ts'],
  'plugin/routing/': [...BOTTOM, 'plugin/compat/', 'plugin/http/'],
  // What is passed through is dialled.
  'plugin/tunnel/': [...BOTTOM, 'net/', 'plugin/compat/', 'plugin/http/', 'plugin/ca/'],
  'plugin/server/': [
    ...BOTTOM, 'net/address-list.ts', 'plugin/compat/', 'plugin/http/', 'plugin/routing/', 'plugin/tunnel/'
  ],
  'plugin/clients/': [...BOTTOM, 'plugin/compat/', 'plugin/http/', 'plugin/routing/', 'plugin/ca/'],
  'plugin/download/': [...BOTTOM, 'plugin/http/', 'plugin/clients/', 'plugin/ca/'],
  'plugin/': ['types/', 'net/'],
  'cli/': ['types/', 'plugin/', 'forward/', 'har/', 'warc/'],
  // Entry points of their own, on the public API alone.
  'forward/': ['types/', 'net/', 'plugin/errors/', 'plugin/index.ts'],
  'net/': ['types/', 'plugin/errors/'],
  'har/': ['types/', 'net/', 'plugin/errors/', 'plugin/option-rules.ts', 'plugin/index.ts'],
  'warc/': ['types/', 'net/', 'plugin/errors/', 'plugin/option-rules.ts', 'plugin/index.ts']
}

/** Packages and modules of Node that a folder does not know. */
const UNKNOWN = {
  'plugin/ca/': { modules: ['fastify', 'light-my-request', 'http', 'https', 'http2'] },
  // A logger's type aside.
  'plugin/tunnel/': { modules: ['fastify'], butForTypes: true }
}

const PROJECT = '^(plugin|types|cli|net|forward|har|warc|test|examples|bench)/'
const TESTS = '\\.tst\\.m?ts$'

/** The pattern of a folder, whose name ends with a slash, or of one file. */
const pattern = (path) => `^${path.replaceAll('.', '\\.')}${path.endsWith('/') ? '' : '$'}`

function arrows (path, allowed) {
  return {
    name: `arrows/${path}`,
    comment: `${path} may import ${['itself', ...allowed].join(', ')}`,
    severity: 'error',
    from: { path: pattern(path), pathNot: TESTS },
    to: { path: PROJECT, pathNot: [path, ...allowed].map(pattern) }
  }
}

function unknownTo ([path, { modules, butForTypes }]) {
  return {
    name: `unknown/${path}`,
    comment: `${path} knows nothing of ${modules.join(', ')}${butForTypes ? ', but for types' : ''}`,
    severity: 'error',
    from: { path: pattern(path) },
    to: {
      path: modules.map((name) => `(^|/)${name}(/|$)`),
      pathNot: PROJECT,
      ...(butForTypes && { dependencyTypesNot: ['type-only'] })
    }
  }
}

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Files, types included, do not import each other in a circle',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-unresolvable',
      comment: 'Every import is found',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    ...Object.entries(ARROWS).map(([path, allowed]) => arrows(path, allowed)),
    ...Object.entries(UNKNOWN).map(unknownTo)
  ],
  options: {
    doNotFollow: { path: 'node_modules|^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types']
    }
  }
}
