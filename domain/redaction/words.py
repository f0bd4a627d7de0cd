"""The words that tell what a value is, in the languages of those who write; folded, small.

Latin, Cyrillic and Greek words stand by themselves, `*` lets one go on; the other scripts join
words, so theirs are found anywhere. The lists serve keys (`mot_de_passe`) and text alike.
"""

import re
from collections.abc import Iterable

from domain.redaction.folding import folded

_LETTER = "a-z\u03b1-\u03c9\u0430-\u044f\u0454-\u0457"


def words(text: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the words in folded text; a blank may be any joint."""
    return re.compile(pattern_of(text))


def pattern_of(text: str) -> str:
    """Return the pattern of `words` as text, to build others with."""
    given = terms(text)
    bound = [each for each in given if _is_bound(each)]
    free = [each for each in given if not _is_bound(each)]
    parts = []
    if bound:
        parts.append(f"(?<![{_LETTER}])(?:{_any(bound)})(?![{_LETTER}])")
    if free:
        parts.append(_any(free))
    return f"(?:{'|'.join(parts)})"


def terms(text: str) -> list[str]:
    """Return the words of a list, folded."""
    return [folded(each.strip()) for each in text.replace("\n", ",").split(",") if each.strip()]


def _is_bound(word: str) -> bool:
    return re.match(f"[{_LETTER}#]", word) is not None


def _any(given: Iterable[str]) -> str:
    # The longest first: an alternation takes the first that fits.
    ranked = sorted(set(given), key=len, reverse=True)
    joined = "|".join(re.escape(each) for each in ranked)
    return joined.replace(r"\ ", r"[\s_'-]{0,2}").replace(r"\*", f"[{_LETTER}]*")


SECRET = """
password*, passwd*, passwort*, passcode*, passphrase*, passkey*, pwd, pwds, psw, pswd, passw,
pw, pword, kennwort*, kennworter, mot de passe, mots de passe, mdp, contrasena*, contrasenya*,
contrasenha*, clave, claves, senha, senhas, palavra passe, palavra chave, parola, parole,
parola chiave, parola d ordine, wachtwoord*, haslo, hasla, haslem, heslo, hesla, heslem,
jelszo*, jelszava, sifre, sifresi*, sifreniz, sifrem, sifra, sifru, sifri, lozink*, parool*,
slaptazod*, salasan*, losenord*, passord*, adgangskode*, kodeord*, lykilord*, zaporka,
kata sandi, sandi, kata laluan, mat khau, nenosiri*, nywila, namba ya siri, wagwoord*,
pasahitza, pasvorto, пароль*, пароля, паролем, паролi, парола*, κωδικος προσβασης,
κωδικο προσβασης, κωδικος, συνθηματικο, סיסמה, סיסמא, סיסמת, ססמה, כלמת, كلمه السر,
كلمه المرور, كلمه مرور, كلمه سر, كلمات المرور, الرقم السري, رمز المرور, رمز الدخول, رمز عبور,
گذرواژه, پاس ورڈ, باسورد, पासवर्ड, कूटशब्द, पासकोड, গোপন নম্বর, পাসওয়ার্ড, પાસવર્ડ, ਪਾਸਵਰਡ,
கடவுச்சொல், పాస్వర్డ్, ಪಾಸ್ವರ್ಡ್, പാസ്വേഡ്, පාස්වර්ඩ්, パスワード, 暗証番号, 合言葉,
パスコード, 密码, 密碼, 口令, 비밀번호, 암호, 패스워드, 비번, รหัสผ่าน, พาสเวิร์ด, ລະຫັດຜ່ານ,
ពាក្យសម្ងាត់, စကားဝှက်, token, tokens, tokenu, tokeni, authtoken, accesstoken, jeton, jetons,
zugriffstoken, トークン, 令牌, 토큰, токен*, توكن, رمز الوصول, टोकन, secret, secrets,
clientsecret, geheimnis, segredo*, secreto, shared secret, シークレット, 시크릿, секрет,
секретный ключ, 密钥, 密鑰, 秘钥, 秘密鍵, 비밀키, api key*, apikey*, api schlussel*,
api schluessel*, cle api, cle d api, cle secrete, clave api, clave de api, clave secreta,
chave api, chave de api, chave da api, chave secreta, chave de acesso, chiave api,
api anahtar*, klucz api, api klic, api nyckel, api sleutel, api avain, apiキー, api密钥,
api 키, ключ api, api ключ*, مفتاح api, مفتاح واجهه, एपीआई कुंजी, access key*, accesskey*,
secret key*, secretkey, private key*, privatekey, signing key*, encryption key*, auth key*,
account key, accountkey, sharedaccesskey, storage key, service key, subscription key,
webhook key, session key, master key, ssh key, license key, licence key, app key,
consumer secret, wifi key, wifi pass, wlan key, wlan schlussel, wpa key, wpa2 key, wpa3 key,
wpa, wpa2, wpa3, psk, network key, shared key, bearer, jwt, credential, credentials, creds,
zugangsdaten, identifiants, credenciales, credenciais, authorization, proxy authorization,
x amz security, jsessionid, phpsessid, aspsessionid*, sessionid cookie, connect sid, cookie,
cookies, set cookie, seed phrase, mnemonic, recovery code*, backup code*
"""
"""What a password, a token or a key is called."""

CODE = """
otp, otps, totp, mfa code, 2fa code, tpin, mpin, upin, one time password, one time code,
einmalpasswort, einmalcode, cvv, cvv2, cvc, cvc2, csc, card verification*, card security code,
security code, access code, entry code, door code, gate code, alarm code, lock code,
keypad code, safe code, verification code, login code, auth code, authentication code,
prufziffer, kartenprufnummer, cryptogramme, zugangscode, turcode, alarmcode, toegangscode,
toegangspin, code d acces, code de securite, code alarme, code d entree, digicode,
codigo de acceso, codigo de acesso, codigo de seguranca, codigo de seguridad,
codigo de verificacion, codigo de verificacao, codice di sicurezza, codice di accesso,
codice accesso, kod dostepu, kod bezpieczenstwa, guvenlik kodu, dogrulama kodu, kode keamanan,
kode akses, ma pin, ma otp, sakerhetskod, sikkerhedskode, sikkerhetskode, turvakoodi,
код доступа, код безопасности, код подтверждения, пин, пин код, ओटीपी, पिन, 暗証番号,
セキュリティコード, 認証コード, 验证码, 驗證碼, 安全码, 인증번호, 보안코드, رمز التحقق,
رمز الامان, רמז, pin, pins, pincode geheim, gate pin, door pin, pin nr, geheimzahl
"""
"""What a secret of a few digits is called."""

EMAIL = """
email*, e mail*, mail, mails, mailto, mailadresse, courriel*, correo*, correo electronico,
eposta*, e posta*, epost*, sahkoposti*, barua pepe, surel, emel, adresse mail, indirizzo mail,
thu dien tu, почта, эл почта, имейл, пошта, ел пошта, ηλεκτρονικο ταχυδρομειο, אימייל, דואל,
بريد, البريد, ايميل, ईमेल, ई मेल, メール, 邮箱, 郵箱, 邮件, 電郵, 电邮, 電子郵件, 이메일,
메일, อีเมล
"""
"""What an e-mail address is called."""

CARD = """
credit card*, creditcard*, debit card*, debitcard*, card number*, cardnumber*, card no,
cardno, card num, card pan, cc number, ccnumber, cc no, cc num, ccnum, ccn, kreditkarte*,
kartennummer*, karten nr, carte bancaire, carte bleue, carte de credit, numero de carte,
numero carte, no carte, tarjeta, numero de tarjeta, numero tarjeta, tarjeta de credito,
cartao, numero cartao, numero do cartao, cartao de credito, carta di credito, numero carta,
numero della carta, kaartnummer, kart numarasi, kart no, kredi karti, numer karty, nr karty,
karta kredytowa, cislo karty, luottokortti*, kortnummer*, kreditkort*, kartyaszam,
bankkartya*, номер карты, карта, بطاقه الائتمان, رقم البطاقه, بطاقه ائتمان, क्रेडिट कार्ड,
कार्ड नंबर, कार्ड संख्या, カード番号, クレジットカード, 卡号, 卡號, 银行卡, 信用卡, 카드번호,
카드 번호, 신용카드, หมายเลขบัตร, บัตรเครดิต
"""
"""What a card's number is called."""

SSN = "ssn, ssns, ss no, ss num, social security*, soc sec*, socialsecurity*, social insurance no"
"""What the number of social security is called."""

PAN = "pan, pans, pan no, pan number, pan card*, pancard*, panno, permanent account*, पैन"
"""What the permanent account number of India is called."""

AADHAAR = """
aadhaar*, aadhar*, adhaar*, adhar, adharcard, aadharcard, uidai, aadhaarcard, आधार, आधारकार्ड,
આધાર, আধার, ஆதார், ఆధార్, ಆಧಾರ್, ആധാർ
"""
"""What India's identity number is called."""

STATE = """
expire*, expiry, expires, expired, expiration, exp, abgelaufen, vencid*, caduc*, at, on, date,
time, ttl, count, counts, total, kind, type, types, model, version, status, state, policy,
policies, template*, templates, enabled, disabled, required, requested, request, requests, reset,
resets, sent, verified, verification, verify, changed, change, updated, created, rotated,
rotation, valid, validity, invalid, length, len, size, limit, age, days, hours, minutes, seconds,
sec, secs, min, ms, ring, name, label, banner, shown, notification*, app, apps, os, layout,
reader, holder, last4, last, brand, network, month, year, format, field, rule, rules, strength,
attempt*, failed, failure*, issuer, scope, scopes, uri, url, endpoint, id, ids, device, serial,
imei, used, usage, score, flag, result, source, provider, method, channel, opt in, optin,
consent, preferred, preference*, domain, language, timezone, queue, system, tower, column, page,
bin, tries, retries, mismatch, found, missing, leaked, strategy, header, hint, error, errors,
index, pattern, hits, limitado, gesendet, geandert, enviado, expirado, rate, ratio, color,
colour, broken, ext, extension, hash algorithm, plan, duration, manager, service, support, store,
vault, path, file, price, cost, company, operator, carrier, level, levels, assignment*,
algorithm*, alg, ablauf*, gultig*, typ, tipo, modele, modelo, modell, anzahl, fecha, fila, sizes,
active, bar, beam, position, layout*, diode, diagram, spacing, pitch, lock, locked, entropy,
complexity, supported, allowed, quota, budget, per, symbol, category, categories, users,
capacity, mah, mb, gb, kb, mm, cm, kg, pct, percent, usd, eur, inr, kw, force, mode, through,
mark, role, class, series, bucket, cache, tag, tags, diameter
"""
"""What follows in a key that holds a state of something sensitive, not the thing."""

FLAGGED = """
is, has, was, had, can, should, must, need, needs, num, max, min, total, count, show, hide,
enable, disable, allow, allows, require, requires, use, uses, no of, number of, last, queue,
unique, failed, wrong, invalid, missing, forgot, reset, change, expired, public, supports,
without, prompt, completion, input, output, remaining, nb, num of, anzahl, avg, average, nb de,
nombre de
"""
"""What stands before it in such a key."""

PROSE = """
expired, expires, expiry, reset, required, requested, incorrect, wrong, changed, invalid,
missing, must, not, none, null, nil, na, yes, no, the, for, and, or, of, in, on, at, to, is,
was, are, be, been, a, an, true, false, undefined, unknown, failed, failure, ok, okay, same,
new, old, updated, pending, rotation, policy, protected, hidden, redacted, removed, deleted,
masked, empty, blank, set, unset, given, sent, shared, via, by, from, with, without,
forgotten, forgot, locked, blocked, lost, here, below, above, this, that, it, please, kindly,
ask, see, tbd, todo, abgelaufen, falsch, vergessen, geandert, fehlt, ungultig, zuruckgesetzt,
expire, expiree, incorrecte, change, oublie, perdu, caducada, errada, incorrecta, olvidada,
cambiada, vencida, expirada, trocada, esquecida, scaduta, errata, cambiata, dimenticata,
verlopen, onjuist, gewijzigd, wygaslo, bledne, zmienione, degisti, yanlis, bearer, basic,
optional, string, text, number, bool, integer, denied, granted, approved, rejected, accepted,
hai, nahi, kharab, galat, bhul
"""
"""What follows a word for a secret and is none."""
