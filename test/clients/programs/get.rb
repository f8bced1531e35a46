# Gets every URL of the command line with Net::HTTP, one connection for each origin, and prints what it got.
require 'net/http'

ARGV.map { |url| URI(url) }.chunk_while { |a, b| a.hostname == b.hostname && a.scheme == b.scheme }.each do |urls|
  Net::HTTP.start(urls[0].hostname, urls[0].port, use_ssl: urls[0].scheme == 'https') do |http|
    urls.each do |url|
      response = http.get(url.request_uri)
      raise "#{url}: #{response.code}" unless response.code == '200'
      puts response.body
    end
  end
end
