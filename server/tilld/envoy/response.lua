-- Envoy's filter for responses: formats errors, and adds headers for security.

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
  E16 = {"410", 11, "EVENTS_GONE", "events after this cursor were removed; continue from the beginning, and list what may have changed"},
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

-- Headers that gRPC adds to a response, and that REST responses do not have.
local OF_GRPC = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding", "x-error-code", "x-error-oldest-sequence"}

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

function envoy_on_response(response)
  local headers = response:headers()
  local status = headers:get(":status")
  local noted = response:streamInfo():dynamicMetadata():get("till") or {}
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
    if noted.head then
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
  local message = decode(headers:get("grpc-message") or "")
  local oldest = headers:get("x-error-oldest-sequence") or trailers and trailers:get("x-error-oldest-sequence")
  local retry_after = trailers and trailers:get("retry-after")
  if retry_after then headers:replace("retry-after", retry_after) end
  if noted.wrong then
    code, message = "E1", noted.wrong
  elseif not ERRORS[code] then
    -- An error of Envoy or grpc core, whose text would expose internals.
    if headers:get("allow") then status = "405" end
    -- Envoy answers an unknown transfer encoding with 501, but it is a fault of the request.
    if status == "501" and not (headers:get("grpc-status") or trailers and trailers:get("grpc-status")) then status = "400" end
    code = BY_HTTP[status] or status < "500" and "E1" or "E0"
    message = status == "413" and "the body must have at most 65536 bytes" or ""
  end
  local http_status, _, _, default = unpack(ERRORS[code])
  headers:replace(":status", http_status)
  headers:replace("content-type", "application/json")
  if code == "E3" then headers:replace("www-authenticate", "Bearer") end
  hide_grpc(headers)
  if trailers then hide_grpc(trailers) end
  if not noted.head then
    local more = oldest and ',"oldest_sequence":' .. oldest or ""
    body:setBytes('{"error":"' .. code .. '","message":' .. quote(message == "" and default or message) .. more .. "}")
  end
end
