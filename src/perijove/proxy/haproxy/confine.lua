-- What core/confine.py does with Set-Cookie and Service-Worker-Allowed, for answers that haproxy passes on itself.
--
-- Stricter where that is simpler: a cookie path with an escape in it counts as outside. The rule of this file:
-- the fields are removed first, then what may stay is put back; txn.confined says that this was done.

local RESERVED = {
  ["perijove-identity"] = true,
  ["jupyterhub-hub-login"] = true,
  ["__host-jupyterhub-hub-login"] = true,
  ["jupyterhub-session-id"] = true,
}

local function strip(text)
  return (text:gsub("^[ \t\r\n\v\f]+", ""):gsub("[ \t\r\n\v\f]+$", ""))
end

-- Whether path is the prefix or below it; what a browser might read differently is not.
local function is_inside(path, prefix)
  if not path:match("^/[0-9A-Za-z._~@/-]*$") or path:find("//", 1, true) then
    return false
  end
  local slashed = path .. "/"
  if slashed:find("/./", 1, true) or slashed:find("/../", 1, true) then
    return false
  end
  return path == prefix or path:sub(1, #prefix + 1) == prefix .. "/"
end

-- The Set-Cookie value to send instead of value, nil for none.
local function confine_cookie(value, prefix)
  local parts = {}
  for part in (value .. ";"):gmatch("([^;]*);") do
    parts[#parts + 1] = part
  end
  local pair = strip(parts[1])
  local name = pair:match("^([^=]*)=")
  name = name and strip(name):lower()
  if not name or name == "" or name:sub(1, 7) == "__host-" or RESERVED[name] then
    return nil
  end
  local kept, path = { pair }, ""
  for index = 2, #parts do
    local key, setting = parts[index]:match("^([^=]*)=?(.*)$")
    key = strip(key):lower()
    if key == "path" then
      path = strip(setting) -- of several, browsers take the last
    elseif key ~= "domain" then
      kept[#kept + 1] = parts[index]
    end
  end
  if not is_inside(path, prefix) then
    path = prefix .. "/"
  end
  return table.concat(kept, ";") .. "; Path=" .. path
end

core.register_action("perijove_confine", { "http-res" }, function(txn)
  local prefix = txn:get_var("txn.prefix")
  local headers = txn.http:res_get_headers()
  txn.http:res_del_header("set-cookie")
  txn.http:res_del_header("service-worker-allowed")
  local cookies = headers["set-cookie"] or {}
  for index = 0, #cookies do
    local value = cookies[index] and confine_cookie(cookies[index], prefix)
    if value then
      txn.http:res_add_header("Set-Cookie", value)
    end
  end
  local allowed = headers["service-worker-allowed"] or {}
  for index = 0, #allowed do
    if allowed[index] and is_inside(strip(allowed[index]), prefix) then
      txn.http:res_add_header("Service-Worker-Allowed", allowed[index])
    end
  end
  txn:set_var("txn.confined", true)
end, 0)
