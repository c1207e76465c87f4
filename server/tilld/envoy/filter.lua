-- Envoy's filter for requests and responses: removes headers on which grpc core fails, and formats errors.

-- LuaJIT cannot compile calls into Envoy, and this code consists of them. With the compiler on, it keeps trying.
jit.off()

-- The documented errors: HTTP status, gRPC status, reason, and the message if tilld sent none.
local ERRORS = {
  E0 = {"500", 13, "INTERNAL", "internal error"},
  E1 = {"400", 3, "INVALID_REQUEST", "invalid request"},
  E2 = {"404", 5, "NOT_FOUND", "resource not found"},
  E3 = {"401", 16, "UNAUTHENTICATED", "unauthenticated"},
  E4 = {"403", 7, "PERMISSION_DENIED", "permission denied"},
  E5 = {"409", 6, "CONFLICT", "conflict"},
  E6 = {"413", 8, "TOO_LARGE", "request too large"},
  E7 = {"429", 8, "TOO_MANY", "too many requests"},
  E8 = {"503", 14, "UNAVAILABLE", "service unavailable; try again"},
  E9 = {"504", 4, "TOOK_TOO_LONG", "timed out; try again"},
  E10 = {"405", 12, "NO_SUCH_METHOD", "method not allowed"},
  E11 = {"409", 9, "NOT_ACTIVE", "the invoice request is not active"},
  E12 = {"410", 11, "EXPIRED", "the invoice request has expired; ask the payer for a new one"},
  E13 = {"502", 14, "UNREACHABLE", "the node that made the invoice request cannot be reached; try again later"},
  E14 = {"422", 10, "REFUSED", "the node that made the invoice request refuses to pay"},
  E15 = {"504", 4, "NOT_PAID", "the node that made the invoice request did not pay in time; try again"},
}

-- The error of a response by Envoy or grpc core, by HTTP status. Other statuses are E1 below 500, else E0.
-- 408: the request arrived too slowly, and may be retried, as after every E9.
-- 431: the request's headers are too large. 499: gRPC's CANCELLED, from a server that has too many streams.
local BY_HTTP = {
  ["401"] = "E3", ["403"] = "E4", ["404"] = "E2", ["405"] = "E10", ["408"] = "E9", ["409"] = "E5", ["413"] = "E6",
  ["429"] = "E7", ["431"] = "E6", ["499"] = "E8", ["503"] = "E8", ["504"] = "E9",
}

-- The error of a gRPC call, by gRPC status. Envoy answers a malformed request with INTERNAL (13).
local BY_GRPC = {["12"] = "E10", ["13"] = "E1", ["14"] = "E8"}

-- Common headers on which grpc core cannot fail. All other names are checked.
local HARMLESS = {}
for name in ([[
  :authority :method :path :scheme accept accept-encoding accept-language authorization cache-control connection
  content-length content-type host origin referer sec-fetch-dest sec-fetch-mode sec-fetch-site te traceparent
  user-agent x-envoy-external-address x-envoy-internal x-forwarded-for x-forwarded-proto x-request-id
]]):gmatch("%S+") do HARMLESS[name] = true end

-- The encodings that grpc core supports.
local ENCODINGS = {identity = true, gzip = true, deflate = true}

-- The valid last digits of base64 by its length modulo 4: no digit has bits left over.
local LAST_DIGIT = {[0] = "$", [2] = "[AQgw]$", [3] = "[AEIMQUYcgkosw048]$"}

-- Headers that gRPC adds to a response, and that REST responses do not have.
local OF_GRPC = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding", "x-error-code"}

local function hide_grpc(headers)
  for i = 1, #OF_GRPC do headers:remove(OF_GRPC[i]) end
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char)
    return char:find("%c") and ("\\u%04x"):format(char:byte()) or "\\" .. char
  end) .. '"'
end

-- The parameters of a query. Of a repeated parameter the first value counts.
local function parameters(query)
  local found = {}
  for name, value in query:gmatch("([^&=]+)=?([^&]*)") do
    name = decode(name)
    found[name] = found[name] or decode(value)
  end
  return found
end

-- A parameter for the transcoder. Valid values have only letters and digits; any other character becomes "-",
-- which keeps the value invalid.
local function passed(parameters, name)
  local value = parameters[name]
  return value and ("?" .. name .. "=" .. value:gsub("%W", "-")) or ""
end

-- Whether grpc core would reject the value of a header.
local function malformed(name, value)
  if name == "grpc-timeout" then return #value > 9 or not value:find("^%d+[HMSmun]$") end
  if name == "grpc-encoding" then return not ENCODINGS[value] end
  if name == "grpc-accept-encoding" then return false end
  local digits = value:match("^([%w+/]*)=?=?$") -- core reads no lists
  local last = digits and LAST_DIGIT[#digits % 4]
  return not last or not digits:find(last)
end

-- The headers on which grpc core fails, as names or nil, and the malformed header of a gRPC call or nil.
-- Such a failure also ends other calls, since all callers share Envoy's connection to tilld.
local function misread(headers, is_grpc)
  local names, bad
  for name, value in pairs(headers) do
    if not HARMLESS[name] then
      local is_binary = name:find("%-bin$")
      local is_known = name == "grpc-timeout" or is_grpc
        and (is_binary or name == "grpc-encoding" or name == "grpc-accept-encoding")
      local drop = name:find("[^:%w_.%-]") or name == "x-till-malformed"
        or not is_known and (is_binary or name:find("^grpc%-"))
      if not drop and is_known and malformed(name, value) then
        drop, bad = true, name
      end
      if drop then
        names = names or {}
        names[#names + 1] = name
      end
    end
  end
  return names, bad
end

-- A field of a protobuf message: a text of at most 127 bytes.
local function field(number, text) return string.char(number * 8 + 2, #text) .. text end

local function explain(response, headers)
  local code = BY_GRPC[headers:get("grpc-status")]
  if not code or headers:get("x-error-code") then return end
  local _, status, reason, message = unpack(ERRORS[code])
  local info = field(1, reason) .. field(2, "till") .. field(3, field(1, "code") .. field(2, code))
  local any = field(1, "type.googleapis.com/google.rpc.ErrorInfo") .. field(2, info)
  headers:add("x-error-code", code)
  headers:replace("grpc-status", tostring(status))
  headers:replace("grpc-message", message)
  headers:replace("grpc-status-details-bin", response:base64Escape(string.char(8, status) .. field(2, message) .. field(3, any)))
end

-- Forbids caching, framing and MIME sniffing, and all content except on pages with a policy of their own.
local function secure(response, headers)
  headers:replace("cache-control", "no-store")
  headers:replace("referrer-policy", "no-referrer")
  headers:replace("x-content-type-options", "nosniff")
  if not headers:get("content-security-policy") then
    headers:add("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
  end
  if response:streamInfo():downstreamSslConnection() then
    headers:replace("strict-transport-security", "max-age=31536000")
  end
end

-- Whether a content type is gRPC's or gRPC-Web's.
local function is_of_grpc(content_type)
  local kind = content_type:match("^application/grpc(.*)$")
  if not kind then return false end
  kind = kind:gsub("^%-web", ""):gsub("^%-text", "")
  return kind == "" or kind:find("^[+;]")
end

-- Whether a request is a gRPC call, and whether it only has the content type of one: it is not a POST to a method.
local function calls_grpc(content_type, method, path)
  if not content_type then return false, false end
  local is_kind = content_type == "application/grpc" or is_of_grpc(content_type)
  local is_method = is_kind and method == "POST" and path:find("^/[^/?]+%.[^/?]+/[^/?]+")
  return is_method, is_kind and not is_method
end

-- The path for the transcoder, with documented parameters only: others could override fields of the path.
-- A watch token and the last event id become headers, since an EventSource cannot send these.
local function route(headers, method, path)
  local asked
  if path:find("?", 1, true) then
    local query
    path, query = path:match("^([^?]*)%?(.*)$")
    asked = parameters(query)
    if path:find("^/lightning/invoice/") then
      local token = (asked.token or ""):match("^watch_[%w_.-]+$")
      if token and not headers:get("authorization") then headers:add("authorization", "Bearer " .. token) end
      local last = (asked.lastEventId or ""):match("^%d+$")
      if last and not headers:get("last-event-id") then headers:add("last-event-id", last) end
    end
  end
  -- All paths are ASCII, and protobuf fails on invalid UTF-8.
  if path:find("%%[89A-Fa-f]") or path:find("[\128-\255]") then return "/" end
  if asked and method == "GET" then
    if path:find("^/lightning/invoice/[^/]+$") then return path .. passed(asked, "watch_token") end
    if path == "/lightning/invoicerequests" then return path .. passed(asked, "after") end
  end
  return path
end

function envoy_on_request(request)
  local headers = request:headers()
  local method, path = headers:get(":method"), headers:get(":path") or "" -- CONNECT has none
  if method == "HEAD" then -- its response must not have a body
    request:streamInfo():dynamicMetadata():set("till", "head", true)
    -- HEAD of a watch is rejected, since a stream does not end.
    local is_read = path:find("^/lightning/") and not path:find("/watch%f[?%z]")
    if is_read or path:find("^/healthz%f[?%z]") or path:find("^/readyz%f[?%z]") then
      method = "GET"
      headers:replace(":method", method)
    end
  end
  local is_grpc, is_mistaken = calls_grpc(headers:get("content-type"), method, path)
  if is_mistaken then return request:respond({[":status"] = "400"}, "") end
  local names, bad = misread(headers, is_grpc)
  if names then
    for _, name in ipairs(names) do headers:remove(name) end
  end
  if is_grpc then
    headers:replace("te", "trailers") -- otherwise grpc core resets the stream without an error
    if bad then headers:add("x-till-malformed", bad) end
    return
  end
  local routed = route(headers, method, path)
  if routed ~= path then headers:replace(":path", routed) end
end

function envoy_on_response(response)
  local headers = response:headers()
  local status = headers:get(":status")
  if status == "200" then
    local content_type = headers:get("content-type")
    if content_type == "application/grpc" or content_type and content_type:find("^application/grpc") then
      return explain(response, headers)
    end
    secure(response, headers)
    if content_type == "text/event-stream" then
      -- Without these, proxies buffer or compress events. nginx obeys the second, most others the first.
      headers:replace("cache-control", "no-cache, no-transform")
      headers:replace("x-accel-buffering", "no")
    end
    hide_grpc(headers)
    -- After 204 an EventSource does not reconnect.
    if headers:get("x-till-no-content") then
      headers:remove("x-till-no-content")
      headers:remove("content-type")
      headers:replace(":status", "204")
    end
    if response:streamInfo():dynamicMetadata():get("till") then
      local body = response:body(true) or response:body(true)
      if body then body:setBytes("") end
      response:headers():remove("content-length")
    end
    local trailers = response:trailers()
    if trailers then hide_grpc(trailers) end
    return
  end

  secure(response, headers)
  local body = response:body(true) or response:body(true) -- the first call returns nil if trailers follow
  local trailers = response:trailers()
  headers = response:headers() -- the earlier object is stale after waiting for the body
  local code = headers:get("x-error-code") or trailers and trailers:get("x-error-code")
  local message = headers:get("grpc-message")
  local retry_after = trailers and trailers:get("retry-after")
  if retry_after then headers:replace("retry-after", retry_after) end
  if not ERRORS[code] then
    -- An error of Envoy or grpc core, whose text would expose internals.
    if headers:get("allow") then status = "405" end
    -- Envoy answers an unknown transfer encoding with 501, but it is a fault of the request.
    if status == "501" and not (headers:get("grpc-status") or trailers and trailers:get("grpc-status")) then status = "400" end
    code = BY_HTTP[status] or status < "500" and "E1" or "E0"
    message = status == "413" and "the body must have at most 65536 bytes" or nil
  end
  local http_status, _, _, default = unpack(ERRORS[code])
  headers:replace(":status", http_status)
  headers:replace("content-type", "application/json")
  if code == "E3" then headers:replace("www-authenticate", "Bearer") end
  hide_grpc(headers)
  if trailers then hide_grpc(trailers) end
  if not response:streamInfo():dynamicMetadata():get("till") then
    local text = message and decode(message) or default
    body:setBytes('{"error":"' .. code .. '","message":' .. quote(text) .. "}")
  end
end
