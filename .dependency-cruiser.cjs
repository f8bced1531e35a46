/**
 * What may import what, types included. In words: plugin -> server -> {routing, tunnel} -> {compat, http}; ca, download
 * and clients stand beside them; types and errors are at the bottom; there is no circle.
 */

const BOTTOM = ['types/', 'plugin/errors.ts', 'plugin/options.ts']

/** For each folder or file, what it may import besides itself. */
const ARROWS = {
  'types/': [],
  'plugin/errors.ts': ['types/'],
  'plugin/options.ts': ['types/', 'plugin/errors.ts', 'plugin/http/'],
  'plugin/http/': BOTTOM,
  'plugin/compat/': [...BOTTOM, 'plugin/http/'],
  'plugin/ca/': BOTTOM,
  'plugin/routing/': [...BOTTOM, 'plugin/compat/', 'plugin/http/'],
  'plugin/tunnel/': [...BOTTOM, 'plugin/compat/', 'plugin/http/', 'plugin/ca/'],
  'plugin/server/': [...BOTTOM, 'plugin/compat/', 'plugin/http/', 'plugin/routing/', 'plugin/tunnel/'],
  'plugin/clients/': [...BOTTOM, 'plugin/compat/', 'plugin/http/', 'plugin/routing/', 'plugin/ca/'],
  'plugin/download/': [...BOTTOM, 'plugin/http/', 'plugin/clients/', 'plugin/ca/'],
  'plugin/': ['types/'],
  'cli/': ['types/', 'plugin/', 'forward/', 'har/', 'warc/'],
  // Entry points of their own, on the public API alone.
  'forward/': ['types/', 'plugin/index.ts'],
  'har/': ['types/', 'plugin/index.ts'],
  'warc/': ['types/', 'plugin/index.ts']
}

/** Packages and modules of Node that a folder does not know. */
const UNKNOWN = {
  'plugin/ca/': { modules: ['fastify', 'light-my-request', 'http', 'https', 'http2'] },
  // A logger's type aside.
  'plugin/tunnel/': { modules: ['fastify'], butForTypes: true }
}

/** What files import against the arrows until it is mended, each with its reason. */
const EXCEPTIONS = {
  // The public types are still taken from classes and lists of the plugin.
  'types/clients.ts': ['plugin/clients/'],
  'types/fastify.ts': ['plugin/ca/'],
  'types/options.ts': ['plugin/ca/'],
  // The reader of the plugin's options still knows the CA's class and makes the resolver.
  'plugin/options.ts': ['plugin/ca/', 'plugin/routing/'],
  // The origin of a tunnel is still made by the router's file.
  'plugin/tunnel/tunnel.ts': ['plugin/routing/']
}

/** Files that stand in a circle until it is mended. */
const CIRCLES = [
  // A tunnel, the list of all and the servers in them know each other.
  'plugin/tunnel/tunnel.ts', 'plugin/tunnel/tunnels.ts', 'plugin/tunnel/servers.ts',
  // The command takes the parts of its output from where it is put together.
  'cli/ca.ts', 'cli/run.ts'
]

const PROJECT = '^(plugin|types|cli|forward|har|warc|test|examples|bench)/'
const TESTS = '\\.tst\\.m?ts$'

/** The pattern of a folder, whose name ends with a slash, or of one file. */
const pattern = (path) => `^${path.replaceAll('.', '\\.')}${path.endsWith('/') ? '' : '$'}`

function arrows (path, from, allowed) {
  return {
    name: `arrows/${path}`,
    comment: `${path} may import ${['itself', ...allowed].join(', ')}`,
    severity: 'error',
    from,
    to: { path: PROJECT, pathNot: [path, ...allowed].map(pattern) }
  }
}

function arrowsOf ([path, allowed]) {
  const excepted = Object.keys(EXCEPTIONS).filter((file) => file.startsWith(path))
  return [
    arrows(path, { path: pattern(path), pathNot: [TESTS, ...excepted.map(pattern)] }, allowed),
    ...excepted.map((file) => arrows(file, { path: pattern(file) }, [path, ...allowed, ...EXCEPTIONS[file]]))
  ]
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
      from: { pathNot: CIRCLES.map(pattern) },
      to: { circular: true }
    },
    {
      name: 'no-unresolvable',
      comment: 'Every import is found',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    ...Object.entries(ARROWS).flatMap(arrowsOf),
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
