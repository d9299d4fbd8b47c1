// Faye: PORT [option=value ...], served at /bayeux. Its own option timeout is in seconds; here it is milliseconds like all others.
import faye from 'faye'
import { listen, newServer, readArguments, take } from './arguments.mjs'
import { install } from './faye-fixtures.mjs'

const { port, options } = readArguments(process.argv.slice(2))
const timeout = take(options, 'timeout', 45_000)
const fixtures = take(options, 'fixtures', false)
const ping = take(options, 'ping', 0)
if (Object.keys(options).length > 0) {
  throw new Error(`options ${Object.keys(options)} are unknown; there are timeout, ping and fixtures`)
}

// Some requests make Faye throw where nobody catches it, and its process ends. A comparison has more questions than one.
process.on('uncaughtException', error => console.error('uncaught:', error.stack))

const bayeux = new faye.NodeAdapter({ mount: '/bayeux', timeout: timeout / 1000, ...(ping > 0 && { ping: ping / 1000 }) })
if (fixtures) install(bayeux)
const server = newServer()
bayeux.attach(server)
listen(server, port, '/bayeux')
