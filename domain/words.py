"""The words that tell what a value is, in the languages of those who write; folded, small.

Latin, Cyrillic and Greek words stand by themselves, `*` lets one go on; the other scripts join
words, so theirs are found anywhere. The lists serve keys (`mot_de_passe`) and text alike.
"""

import re
from collections.abc import Iterable

from domain.folding import folded

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


PHONE = """
phone*, telephone*, phones, fone, fono, tel, tele, tels, telefon*, telefono*, telefoon*,
telepon*, telefo*, telp, tlf, tlfn, tlfno, tfno, tfn, tlph, ph, mob, mobs, mobno, mobile*,
mobil, mobili, mobilnummer*, mobilnr, mobiltelefon*, mobiel*, movil*, cel, cell, cells,
cellphone*, cellulare*, cellular, celular*, celu, handy, handynummer*, handynr, natel, gsm,
msisdn, whatsapp*, whats app, wapp, zap, zapzap, viber, sms, call, called, calls, caller,
callback, call back, calling, dial*, reach, reached, reachable, reach*, contact, contacts,
contacted, contacter, contactez, contacto, contato, contatto, contattare, contactar, contatar,
kontakt*, kontak, helpline*, hotline*, landline*, fax, faxno, ring, rang, my no, my number,
his no, his number, her no, her number, your no, your number, their no, their number,
ka number, ka no, ki number, ke number, ko number, joignable*, joindre, rejoindre, appel*,
rappel*, anruf*, angerufen, rufnummer*, rufen, rufens, ruf, notruf, notdienst, erreichbar,
melden, durchwahl, festnetz*, diensthandy, llam*, marcar, marque, ligar, ligue, ligou,
liga para, chamar, ligacao, telemovel*, hubungi, ponsel, nomor hp, no hp, simu, piga, mpigie,
chiam*, bellen, gebeld, puhelin*, kannykka*, soita*, soitto*, matkapuhelin*, zadzwon*, dzwon*,
komork*, kom, cep, cepten, arayin*, ulasil*, iletisim, irtibat, sdt, dien thoai*, so dt, goi,
tawagan, ring pa, ringa, ringe, doorbhash*, durbhash*, mobail, phon, hp, hape, wa, traffas,
mobilen, volat, volejte, zavolej*, hivja, hivjon, hivas, sunati, apelati, nazvat*, pozovi*,
nazovi*, skambin*, zvan*, helistage, ozvuci, тел, тлф, телефон*, моб, мобильн*, мобилн*,
мобiльн*, сот, сотов*, звон*, позвон*, дзвон*, перезвон*, набер*, вотсап, ватсап, whatsapp,
связь, связат*, обажд*, позов*, τηλ, τηλεφων*, κιν, κινητο*, καλεσ*, επικοινων*, טלפון, טל',
נייד, פלאפון, להתקשר, התקשר, هاتف, جوال, موبايل, موبيل, تليفون, تلفون, تلفن, واتس, اتصل,
اتصال, الاتصال, محمول, للتواصل, خلوي, موبائل, فون, رابط, تماس, همراه, मोबाइल, मोबाईल, फोन,
दूरभाष, संपर्क, सम्पर्क, व्हाट्सएप, वाट्सएप, व्हाट्सऐप, कॉल, भ्रमणध्वनी, মোবাইল, ফোন, যোগাযোগ,
મોબાઇલ, મોબાઈલ, ફોન, ਫੋਨ, ਮੋਬਾਈਲ, தொலைபேசி, மொபைல், போன், அலைபேசி, ఫోన్, మొబైల్, ಫೋನ್, ಮೊಬೈಲ್,
ഫോൺ, മൊബൈൽ, දුරකථන, 電話, 电话, 手机, 手機, 携帯, 携帶, 連絡先, 联系, 聯絡, 連絡, 致电, 座机,
热线, 熱線, 拨打, 来电, 專線, 전화, 휴대폰, 휴대전화, 핸드폰, 연락, โทร, มือถือ, เบอร์,
ติดต่อ, ໂທ, ទូរស័ព្ទ, ဖုန်း, ስልክ, ტელ, հեռ, \u260e, \u260f, \u2121, \u2706, \U0001f4de,
\U0001f4f1, \U0001f4f2
"""
"""What a phone number is called, and what people do with one."""

PHONE_WEAK = """
number, numbers, num, no, nos, nr, numero, numeros, nummer, nomor, namba, numer, numru,
numara*, номер*, नंबर, नम्बर, নম্বর, رقم, شماره, نمبر, 番号, 号码, 號碼, 번호, line, linea,
ligne, linje, portable, emergency, notfall, urgence, emergencia, urgencia, escalation, duty,
standby, guard, watchman, watcher, security, caretaker, concierge, janitor, porter, landlord,
tenant, foreman, electrician, plumber, driver, helper, technician, tech, supervisor,
housekeeping, reception, super, vaktmester*, vaktmastar*, vicevaert*, viceveart*,
hausmeister*, pfortner*, abwart*, huismeester*, gardien*, portier*, portero*, conserje*,
vigilante*, celador*, guardia, zelador*, sindic*, porteiro*, custode, portinaio, dozorca*,
kapici*, gorevli*, chowkidar*, natour, natur, askari, mlinzi, fundi, охран*, вахт*, сторож*,
слесар*, حارس, الحارس, بواب, البواب, गार्ड, चौकीदार, m, p, t, c, f, o, r, h
"""
"""What speaks for a phone number only where its grouping does too."""

NOT_A_PHONE = """
phone model*, phone case*, phone app*, mobile app*, mobile tower*, mobile crane*,
mobile unit*, mobile device*, mobile data, mobile site, mobile scaffold*, contactor*,
call id*, call log*, call center id, token ring, ring main, o ring, slip ring, ring lock,
call closed, call no, cell b*, microphone*, headphone*, smartphone model*
"""
"""Words of phones that are about something else."""

ID = """
order*, bestell*, auftrag*, auftr, pedido*, orden, ordem, ordre, commande*, ordine*,
bestelling*, bestelnr, opdracht*, zamowien*, zlecen*, zgloszen*, siparis*, objednav*, zakazk*,
comand*, tilaus*, narudz*, uzsakym*, is emri, emri, заказ*, заявк*, наряд*, замовлен*,
παραγγελ*, don hang, pesanan*, agizo, ticket*, tkt, complaint*, case, cases, sr, wo, po, pr,
so, rfq, rfp, grn, mrn, sro, wos, pos, job, jobs, task*, request*, req, incident*, inc,
docket*, challan*, invoice*, inv, bill*, receipt*, voucher*, rechnung*, rg, facture*,
factura*, fattura*, faktur*, fatura*, nota fiscal, nf, boleto*, recibo*, recu, quittung*,
lasku*, szamla*, vorgang*, vorgangs*, beleg*, lieferschein*, ls, bon, bons, devis, angebot*,
offerte*, oferta*, presupuesto*, orcamento*, cotiz*, guia, remito*, albaran*, folio*, parte,
chamado*, protokoll*, protocolo*, os, ot, bt, счет*, накладн*, акт, serial*, serie*, serien*,
seriennr, sn, s/n, matricola*, matricule*, imei*, imsi, iccid, meid, eid, mac, asset*, tag,
tags, rfid, barcode*, code barres, strichcode*, ean, gtin, upc, isbn, sku*, hsn, sac, gst*,
tin, vat, ust, iva, nip, regon, pesel, cnpj, cpf, siret, siren, nif, cif, curp, bsn, kvk,
part, parts, pn, p/n, item*, artikel*, article*, art, ersatzteil*, teil*, pieza*, piece,
peca*, ricambio*, material*, batch*, lot*, lote, charge, charges, partie, model*, modell*,
modele, typ, type, meter*, zahler*, zaehler*, contador*, compteur*, contatore*, hidrometr*,
medidor*, sayac*, licznik*, elmaler*, mittari*, mala*r, merac, meraci, meterstand*, stand,
reading*, lecture*, leitura*, lectura*, lettura*, endeks*, index, счетчик*, показан*,
лiчильник*, μετρητ*, mita, consumer no*, consumer num*, consumer id, customer no*,
customer num*, customer id, customer code, client no*, client id, kunden*, kd, account*, acct,
a/c, ac, konto*, cuenta*, compte*, conto, conta, contas, hesap*, rekening*, ref, refs,
reference*, referenz*, referenc*, riferiment*, referinta, transaction*, txn*, utr, rrn, neft,
imps, upi, trx, arn, iban, cheque*, check no, cek, dd, permit*, licen*, lic, policy*, police*,
poliza*, apolice*, polizza*, contract*, vertrag*, contrat*, tender*, registration*, regn, reg,
reg no, warranty*, garantie*, certificat*, cert, passport*, consignment*, awb, tracking*,
track, shipment*, sendung*, parcel*, paket*, courier*, waybill*, colis, envio*, lr,
container*, employee code, employee id, employee no*, emp code, emp id, emp no, emp, badge*,
staff id, staff no, id, ids, uid, code*, codigo*, kod, kode, kennung, vehicle no*,
vehicle num*, epoch*, timestamp*, unix, ts, build*, version*, firmware*, fw, release*, worker,
process, pid, thread, session*, trace*, span, quantity*, qty, menge*, cantidad*, quantit*,
quantidad*, ilosc, adet, amount*, amt, total*, sum, summe, value*, betrag*, montant*,
importe*, valor*, kwota, tutar*, price*, cost*, preis*, prix, precio*, preco*, prezzo*, cena,
fiyat*, drawing*, dwg, plan*, zip*, postal*, postcode*, plz, pincode*, pin, invoice no*, mcst,
icp, nmi, mpan, mprn, pod, pdl, cups, cyl, cylinder*, sticker*, slip*, locker*, seal, drum,
file no, form no, pass no, gate pass*, vin, инн, огрн, окпо, кпп, снилс, номер заказа, арт,
артикул*, серийн*, договор*, код*, штрихкод*, парт*, лот, 注文, 発注, 受注, 伝票, 请求, 請求,
見積, 製造, 型番, 品番, 管理番号, 資産, 订单, 訂單, 工单, 工單, 单号, 單號, 编号, 編號, 发票,
發票, 序列, 批号, 批次, 电表, 電表, 水表, 读数, 条码, 物料, 合同, 数量, 金额, 金額, メーター,
検針, 주문, 발주, 송장, 견적, 자재, 계약, 일련, 계량기, 검침, 접수, 청구, 수량, 금액, ใบสั่ง,
ใบแจ้ง, มิเตอร์, หมายเลขเครื่อง, طلب, امر, الشغل, فاتوره, الفاتوره, عداد, العداد, تسلسل, مرجع,
عقد, بلاغ, تذكره, سفارش, فاكتور, شماره سريال, הזמנה, חשבונית, מונה, סידורי, ऑर्डर, आर्डर,
आदेश, बिल, चालान, मीटर, टिकट, शिकायत, रसीद, इनवॉइस, क्रमांक, उपभोक्ता
"""
"""What numbers things: orders, meters, parts, accounts."""

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
policies, template*, templates, enabled, disabled, required, requested, request, requests,
reset, resets, sent, verified, verification, verify, changed, change, updated, created,
rotated, rotation, valid, validity, invalid, length, len, size, limit, age, days, hours,
minutes, seconds, sec, secs, min, ms, ring, name, label, banner, shown, notification*, app,
apps, os, layout, reader, holder, last4, last, brand, network, month, year, format, field,
rule, rules, strength, attempt*, failed, failure*, issuer, scope, scopes, uri, url, endpoint,
id, ids, device, serial, imei, used, usage, score, flag, result, source, provider, method,
channel, opt in, optin, consent, preferred, preference*, domain, language, timezone, queue,
system, tower, column, page, bin, tries, retries, mismatch, found, missing, leaked, strategy,
header, hint, error, errors, index, pattern, hits, limitado, gesendet, geandert, enviado,
expirado, rate, ratio, color, colour, broken, ext, extension, hash algorithm, plan, duration,
manager, service, support, store, vault, path, file, price, cost, company, operator, carrier
"""
"""What follows in a key that holds a state of something sensitive, not the thing."""

FLAGGED = """
is, has, was, had, can, should, must, need, needs, num, max, min, total, count, show, hide,
enable, disable, allow, allows, require, requires, use, uses, no of, number of, last, queue,
unique, failed, wrong, invalid, missing, forgot, reset, change, expired, public, supports,
without, prompt, completion, input, output, remaining
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
