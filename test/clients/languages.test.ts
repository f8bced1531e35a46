import { join } from 'node:path'
import t from 'tap'
import { drive, program } from './clients'
import type { Client } from './clients'

// Compilers and virtual machines take their time on a busy machine.
t.setTimeout(180_000)

/** Debian's, which has the modules of Debian's packages. */
const PYTHON = '/usr/bin/python3'

function python (module: string, name: string): Pick<Client, 'version' | 'run' | 'from'> {
  return {
    version: [PYTHON, '-c', `import ${module}; print(${module}.__version__)`],
    from: `Debian: python3-${module}`,
    run: (proxy, urls) => proxy.exec(PYTHON, [program(name), ...urls])
  }
}

drive(t, {
  name: 'Python requests',
  ...python('requests', 'get_requests.py'),
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https']
})

drive(t, {
  name: 'Python httpx',
  ...python('httpx', 'get_httpx.py'),
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https']
})

drive(t, {
  name: 'Python aiohttp',
  ...python('aiohttp', 'get_aiohttp.py'),
  schemes: ['http', 'https', 'ws', 'wss'],
  // 3.8 looks for its connections to a proxy under another key than it keeps them.
  keepAlive: ['https']
})

drive(t, {
  name: 'Python websocket-client',
  ...python('websocket', 'get_websocket_client.py'),
  schemes: ['ws', 'wss'],
  keepAlive: []
})

drive(t, {
  name: 'Go net/http',
  version: ['go', 'version'],
  from: 'Debian: golang-go',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => proxy.exec('go', ['run', program('get.go'), ...urls], {
    GOPROXY: 'off', GOTOOLCHAIN: 'local', GOPATH: join(proxy.directory, 'go')
  })
})

drive(t, {
  name: 'Java HttpClient',
  version: ['java', '--version'],
  from: 'Debian: default-jdk-headless',
  schemes: ['http', 'https', 'ws', 'wss'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => proxy.exec('java', [program('Get.java'), ...urls])
})

drive(t, {
  name: 'Ruby Net::HTTP',
  version: ['ruby', '--version'],
  from: 'Debian: ruby',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => proxy.exec('ruby', [program('get.rb'), ...urls])
})

drive(t, {
  name: 'PHP ext/curl',
  version: ['sh', '-c', 'php -m | grep -q curl && php --version'],
  from: 'Debian: php-cli, php-curl',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  // It reads the proxy variables, but none for a CA.
  run: (proxy, urls) => proxy.exec('php', ['-d', `curl.cainfo=${proxy.ca}`, program('get_curl.php'), ...urls])
})

drive(t, {
  name: 'PHP streams',
  version: ['php', '--version'],
  from: 'Debian: php-cli',
  schemes: ['http', 'https'],
  keepAlive: [],
  run: (proxy, urls) => proxy.exec('php', [program('get_streams.php'), ...urls])
})
