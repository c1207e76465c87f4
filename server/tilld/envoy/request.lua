-- Envoy's filter for requests: removes headers on which grpc core fails, and passes documented parameters only.

-- LuaJIT cannot compile calls into Envoy, and this code consists of them. With the compiler on, it keeps trying.
jit.off()

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

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The parameters of each list. A list passes them to tilld, and rejects all others: a typo must not list everything.
local FILTER = "status, type, label, label_prefix, rhash, payreq, created_from, created_to, paid_from, paid_to, metadata, order, tz"
local LISTS = {
  ["/lightning/invoices"] = FILTER .. ", limit, page",
  ["/lightning/invoices.csv"] = FILTER,
  ["/lightning/report"] = "from, to, tz, by",
  ["/lightning/events"] = "after, types, metadata_type, limit, wait, all_users",
  ["/lightning/events/stream"] = "after, types, metadata_type, all_users, lastEventId",
  ["/lightning/webhooks/{id}/deliveries"] = "state, limit, after",
}

-- The characters of UTF-8 beyond ASCII.
local CHARACTERS = {
  "[\194-\223][\128-\191]", "\224[\160-\191][\128-\191]", "\237[\128-\159][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]", "\240[\144-\191][\128-\191][\128-\191]",
  "[\241-\243][\128-\191][\128-\191][\128-\191]", "\244[\128-\143][\128-\191][\128-\191]",
}

local function is_utf8(text)
  for _, character in ipairs(CHARACTERS) do text = text:gsub(character, " ") end
  return not text:find("[\128-\255]")
end

local function encode(text)
  return (text:gsub("%W", function(char) return ("%%%02X"):format(char:byte()) end))
end

-- An EventSource itself can send the id of the last event as a header only when it reconnects.
local function set_last_event_id(headers, value)
  if value ~= "" and not headers:get("last-event-id") then headers:add("last-event-id", value) end
end

-- The query of a list for the transcoder, or nil and what is wrong with it.
local function list_query(headers, query, names)
  local passed, seen = {}, {}
  for name, value in query:gmatch("([^&=]*)=?([^&]*)") do
    name, value = decode(name), decode((value:gsub("+", " ")))
    if name ~= "" or value ~= "" then
      if not name:find("^[%a_]+$") or not names:find("%f[%w_]" .. name .. "%f[^%w_]") then
        return nil, ("unknown parameter '%s'; the parameters are %s"):format(name:gsub("[^%w_.-]", "?"):sub(1, 40), names)
      end
      if seen[name] and name ~= "status" then return nil, name .. " is repeated; send it once" end
      if not is_utf8(value) then return nil, name .. " is not valid UTF-8" end
      seen[name] = true
      if name ~= "lastEventId" then
        passed[#passed + 1] = name .. "=" .. encode(value)
      elseif value:find("^[%w_.-]*$") then
        set_last_event_id(headers, value)
      else
        return nil, "lastEventId must be the id of an event of this stream"
      end
    end
  end
  return "?" .. table.concat(passed, "&")
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
-- Or nil, and what is wrong with the query.
local function route(headers, method, path, query)
  -- All paths are ASCII, and protobuf fails on invalid UTF-8.
  if path:find("%%[89A-Fa-f]") or path:find("[\128-\255]") then return "/" end
  local names = method == "GET" and query and LISTS[path:gsub("^(/lightning/webhooks/)[^/]+(/deliveries)$", "%1{id}%2")]
  if names then
    local passed, wrong = list_query(headers, query, names)
    return passed and path .. passed, wrong
  end
  local asked = query and parameters(query)
  if asked and path:find("^/lightning/invoice/") then
    local token = (asked.token or ""):match("^watch_[%w_.-]+$")
    if token and not headers:get("authorization") then headers:add("authorization", "Bearer " .. token) end
    set_last_event_id(headers, (asked.lastEventId or ""):match("^%d*$") or "")
  end
  if asked and method == "GET" then
    if path:find("^/lightning/invoice/[^/]+$") then return path .. passed(asked, "watch_token") end
    if path == "/lightning/invoicerequests" then return path .. passed(asked, "after") end
  end
  return path
end

function envoy_on_request(request)
  local headers = request:headers()
  local method, target = headers:get(":method"), headers:get(":path") or "" -- CONNECT has none
  local path, query = target:match("^([^?]*)%??(.*)$")
  path = path:gsub("^(/lightning/.+)/$", "%1") -- the transcoder ignores this slash
  if method == "HEAD" then -- its response must not have a body
    request:streamInfo():dynamicMetadata():set("till", "head", true)
    -- HEAD of a watch is rejected, since it does not end, and of CSV, since it may be long.
    local is_read = path:find("^/lightning/") and not path:find("/watch$") and not path:find("/stream$") and not path:find("%.csv$")
    if is_read or path == "/healthz" or path == "/readyz" then
      method = "GET"
      headers:replace(":method", method)
    end
  end
  local is_grpc, is_mistaken = calls_grpc(headers:get("content-type"), method, target)
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
  local routed, wrong = route(headers, method, path, query ~= "" and query)
  if wrong then -- no path matches, so the response comes from the router, with the headers of CORS
    request:streamInfo():dynamicMetadata():set("till", "wrong", wrong)
    routed = "/"
  end
  if routed ~= target then headers:replace(":path", routed) end
end
