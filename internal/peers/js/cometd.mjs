// cometd-nodejs-server: PORT [option=value ...], served at /cometd.
import ack from 'cometd-nodejs-server/ack-extension.js'
import cometd from 'cometd-nodejs-server'
import { listen, newServer, readArguments, take } from './arguments.mjs'
import { install } from './cometd-fixtures.mjs'

const { port, options } = readArguments(process.argv.slice(2))
const withAck = take(options, 'ack', true)
const fixtures = take(options, 'fixtures', false)

const bayeux = cometd.createCometDServer({ browserCookieName: 'BAYEUX_BROWSER', ...options })
if (withAck) bayeux.addExtension(new ack.AcknowledgedMessagesExtension())
if (fixtures) install(bayeux)

const server = newServer()
server.on('request', (request, response) => {
  if (/^\/cometd([/?]|$)/.test(request.url)) {
    bayeux.handle(request, response)
  } else {
    response.writeHead(404).end()
  }
})
listen(server, port, '/cometd')
